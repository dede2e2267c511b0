// The frame: sidebar of objects, the object itself, details to the right, a folding panel below, the status line.
import { ChevronLeft, ChevronRight, PanelRight } from "lucide-react";
import { Component, type ReactNode, useEffect, useState } from "react";
import { Group, Panel, Separator, useDefaultLayout } from "react-resizable-panels";
import { client } from "../lib/client.ts";
import { Button } from "../ui/button.tsx";
import { ErrorState } from "../ui/states.tsx";
import type { Crumb, Feature } from "./feature.ts";
import { features } from "./features.ts";
import { CommandPalette, modifier, ShortcutSheet, usePalette } from "./palette.tsx";
import { go, type Route, routeHash, useRoute } from "./router.ts";
import { loadSettings } from "./settings-store.ts";
import { StatusBar } from "./status-bar.tsx";
import { useMedia } from "./use-media.ts";

const noCrumbs = (): readonly Crumb[] => [];
const noCount = (): number | null => null;

/** A bug in one view leaves the frame standing and says what happened. */
class ViewBoundary extends Component<
  { readonly children: ReactNode; readonly name: string },
  { readonly error: Error | null }
> {
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
        message={`${error.message}. This is a bug; runs are not touched by it.`}
        actions={<Button onClick={() => this.setState({ error: null })}>Draw it again</Button>}
      />
    );
  }
}

function SidebarEntry({ feature, isCurrent }: { readonly feature: Feature; readonly isCurrent: boolean }) {
  const useCount = feature.useCount ?? noCount;
  // oxlint-disable-next-line react/hooks -- an entry is keyed by its feature, whose hook never changes
  const count = useCount();
  const Icon = feature.icon;
  return (
    <a
      className={`sidebar-entry ${isCurrent ? "is-current" : ""}`}
      href={routeHash(feature.id)}
      aria-current={isCurrent ? "page" : undefined}
    >
      <Icon size={16} strokeWidth={1.6} aria-hidden="true" />
      <span className="sidebar-label">{feature.title}</span>
      {count === null || count === 0 ? null : <span className="sidebar-count">{count}</span>}
    </a>
  );
}

function Sidebar({ current }: { readonly current: Feature }) {
  return (
    <nav className="sidebar" aria-label="Objects">
      <div className="sidebar-brand">ASSAY</div>
      {features
        .filter((feature) => feature.id !== "settings")
        .map((feature) => (
          <SidebarEntry key={feature.id} feature={feature} isCurrent={feature === current} />
        ))}
      <span className="sidebar-space" />
      {features
        .filter((feature) => feature.id === "settings")
        .map((feature) => (
          <SidebarEntry key={feature.id} feature={feature} isCurrent={feature === current} />
        ))}
    </nav>
  );
}

function Header({
  feature,
  route,
  onToggleDetails,
}: {
  readonly feature: Feature;
  readonly route: Route;
  readonly onToggleDetails: (() => void) | null;
}) {
  const useCrumbs = feature.useCrumbs ?? noCrumbs;
  // oxlint-disable-next-line react/hooks -- the header is keyed by its feature, whose hook never changes
  const crumbs = useCrumbs(route);
  const { Actions } = feature;
  return (
    <header className="header">
      <button type="button" className="header-arrow" aria-label="Back" onClick={() => window.history.back()}>
        <ChevronLeft size={16} />
      </button>
      <button type="button" className="header-arrow" aria-label="Forward" onClick={() => window.history.forward()}>
        <ChevronRight size={16} />
      </button>
      <nav className="crumbs" aria-label="Where you are">
        {crumbs.length === 0 ? <strong>{feature.title}</strong> : <a href={routeHash(feature.id)}>{feature.title}</a>}
        {crumbs.map((crumb, at) => (
          <span key={crumb.label} className="crumb">
            <span className="faint-slash" aria-hidden="true">
              /
            </span>
            {at === crumbs.length - 1 || crumb.hash === undefined ? (
              <strong>{crumb.label}</strong>
            ) : (
              <a href={crumb.hash}>{crumb.label}</a>
            )}
          </span>
        ))}
      </nav>
      <button type="button" className="palette-button" onClick={() => usePalette.setState({ isOpen: true })}>
        <span>Search or run a command</span> <kbd>{modifier}K</kbd>
      </button>
      {Actions === undefined ? null : <Actions route={route} />}
      {onToggleDetails === null ? null : (
        <button type="button" className="header-arrow" aria-label="Show or hide details" onClick={onToggleDetails}>
          <PanelRight size={16} />
        </button>
      )}
    </header>
  );
}

function useShortcuts(onToggleSidebar: () => void): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (!(window.assay.platform === "darwin" ? event.metaKey : event.ctrlKey) || event.altKey) {
        return;
      }
      const actions: Readonly<Record<string, () => void>> = {
        KeyK: () => usePalette.setState((state) => ({ isOpen: !state.isOpen })),
        KeyP: () => usePalette.setState({ isOpen: true }),
        KeyB: onToggleSidebar,
        Comma: () => go("settings"),
        Slash: () => usePalette.setState((state) => ({ isHelpOpen: !state.isHelpOpen })),
      };
      const isInEditor = event.target instanceof Element && event.target.closest(".monaco-editor") !== null;
      const action = event.code === "Slash" && isInEditor ? undefined : actions[event.code];
      if (action !== undefined && (event.code !== "KeyP" || event.shiftKey)) {
        event.preventDefault();
        action();
      }
    };
    window.addEventListener("keydown", onKey, { capture: true });
    return () => window.removeEventListener("keydown", onKey, { capture: true });
  }, [onToggleSidebar]);
}

function Notices() {
  const [lost, setLost] = useState<string | null>(null);
  useEffect(() => client.subscribe("models.engine-lost", ({ message }) => setLost(message)), []);
  return lost === null ? null : (
    <div className="notice banner banner-bad" role="alert" data-testid="engine-lost">
      <span>{lost}</span>
      <Button onClick={() => setLost(null)}>Close</Button>
    </div>
  );
}

export function App() {
  const route = useRoute();
  const feature = features.find((each) => each.id === route.feature) ?? features[0];
  const isNarrow = useMedia("(max-width: 900px)");
  const [isSidebarFolded, setSidebarFolded] = useState(false);
  const [areDetailsOpen, setDetailsOpen] = useState(false);
  const [toggleSidebar] = useState(() => () => setSidebarFolded((folded) => !folded));
  useShortcuts(toggleSidebar);
  useEffect(() => {
    loadSettings().catch((error: unknown) => console.error(error));
  }, []);
  const columns = useDefaultLayout({ id: "assay-columns", storage: window.localStorage });
  const rows = useDefaultLayout({ id: "assay-rows", storage: window.localStorage });
  if (feature === undefined) {
    return null;
  }
  const { Main } = feature;
  const Details = feature.hasDetails?.(route) === false ? undefined : feature.Details;
  const Bottom = feature.hasBottom?.(route) === false ? undefined : feature.Bottom;
  const main = (
    <main className="main" aria-label={feature.title}>
      <ViewBoundary key={route.feature} name={feature.title}>
        <Main route={route} />
      </ViewBoundary>
    </main>
  );
  const details = Details === undefined ? null : <Details route={route} />;
  const object =
    Bottom === undefined ? (
      main
    ) : (
      <Group
        orientation="vertical"
        defaultLayout={rows.defaultLayout}
        onLayoutChanged={rows.onLayoutChanged}
        id="assay-rows"
      >
        <Panel id="object" minSize="30%">
          {main}
        </Panel>
        <Separator className="separator-row" />
        <Panel id="bottom" defaultSize="28%" minSize="36px" collapsible collapsedSize="36px" className="bottom">
          <Bottom route={route} />
        </Panel>
      </Group>
    );
  return (
    <div className={`frame ${isSidebarFolded ? "is-folded" : ""}`}>
      <Sidebar current={feature} />
      <div className="body">
        <Header
          key={feature.id}
          feature={feature}
          route={route}
          onToggleDetails={details !== null && isNarrow ? () => setDetailsOpen((open) => !open) : null}
        />
        {details === null || isNarrow ? (
          <div className="content">
            {object}
            {details !== null && areDetailsOpen ? (
              <aside className="details details-over" aria-label="Details">
                {details}
              </aside>
            ) : null}
          </div>
        ) : (
          <Group
            orientation="horizontal"
            className="content"
            defaultLayout={columns.defaultLayout}
            onLayoutChanged={columns.onLayoutChanged}
            id="assay-columns"
          >
            <Panel id="centre" minSize="45%">
              {object}
            </Panel>
            <Separator className="separator-column" />
            <Panel id="details" defaultSize="280px" minSize="220px" maxSize="45%">
              <aside className="details" aria-label="Details">
                {details}
              </aside>
            </Panel>
          </Group>
        )}
        <Notices />
      </div>
      <StatusBar />
      <CommandPalette />
      <ShortcutSheet />
    </div>
  );
}
