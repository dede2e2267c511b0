// Back and forward, where you are, the palette, and the view's own actions.
import { ChevronLeft, ChevronRight, PanelRight } from "lucide-react";
import { useEffect } from "react";
import { IconButton } from "../ui/icon-button.tsx";
import type { Crumb, Feature } from "./feature.ts";
import { modifier, usePalette } from "./palette.tsx";
import { type Route, routeHash } from "./router.ts";

const noCrumbs = (): readonly Crumb[] => [];

type HeaderProps = {
  readonly feature: Feature;
  readonly route: Route;
  /** Null where the view has no details. */
  readonly onToggleDetails: (() => void) | null;
  readonly areDetailsShown: boolean;
};

/** The shell gives it a key a feature, so that one feature's hooks never follow another's. */
export function Header({ feature, route, onToggleDetails, areDetailsShown }: HeaderProps) {
  const useCrumbs = feature.useCrumbs ?? noCrumbs;
  // oxlint-disable-next-line react/hooks -- see above: the same hook as long as this element lives
  const crumbs = useCrumbs(route);
  const title = [...crumbs.map((crumb) => crumb.label).toReversed(), feature.title, "Assay"].join(" – ");
  useEffect(() => {
    document.title = title;
  }, [title]);
  const { Actions } = feature;
  return (
    <header className="header">
      <span className="header-arrows">
        <IconButton label="Back" onClick={() => window.history.back()}>
          <ChevronLeft size={16} />
        </IconButton>
        <IconButton label="Forward" onClick={() => window.history.forward()}>
          <ChevronRight size={16} />
        </IconButton>
      </span>
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
      <button
        type="button"
        className="palette-button"
        aria-label={`Search or run a command, ${modifier}K`}
        onClick={() => usePalette.setState({ isOpen: true })}
      >
        <span>Search or run a command</span> <kbd>{modifier}K</kbd>
      </button>
      {Actions === undefined ? null : <Actions route={route} />}
      {onToggleDetails === null ? null : (
        <IconButton label={areDetailsShown ? "Hide details" : "Show details"} onClick={onToggleDetails}>
          <PanelRight size={16} />
        </IconButton>
      )}
    </header>
  );
}
