// A bug in one view leaves the frame standing and says what happened.
import { Component, type ReactNode } from "react";
import { Button } from "../ui/button.tsx";
import { CopyButton } from "../ui/copy-button.tsx";
import { ErrorState } from "../ui/states.tsx";

type Props = { readonly children: ReactNode; readonly name: string };

export class ViewBoundary extends Component<Props, { readonly error: Error | null }> {
  override state: { readonly error: Error | null } = { error: null };

  static getDerivedStateFromError(error: Error): { readonly error: Error } {
    return { error };
  }

  override render(): ReactNode {
    const { error } = this.state;
    return error === null ? (
      this.props.children
    ) : (
      <ErrorState
        title={`${this.props.name} could not be drawn`}
        message={`${error.message}. This is a bug of Assay; runs are not touched by it.`}
        actions={
          <>
            <Button onClick={() => this.setState({ error: null })}>Draw it again</Button>
            <CopyButton text={() => error.stack ?? error.message}>Copy the report</CopyButton>
          </>
        }
      />
    );
  }
}
