// The frame: sidebar of objects, the object itself, details to the right, a folding panel below, the status line.
import { ChevronDown, ChevronUp } from "lucide-react";
import { type ReactNode, useCallback, useEffect, useState } from "react";
import { Group, Panel, Separator, useDefaultLayout, usePanelRef } from "react-resizable-panels";
import { client } from "../lib/client.ts";
import { Button } from "../ui/button.tsx";
import { IconButton } from "../ui/icon-button.tsx";
import type { Feature } from "./feature.ts";
import { features } from "./features.ts";
import { Header } from "./header.tsx";
import { CommandPalette, ShortcutSheet } from "./palette.tsx";
import { type Route, useRoute } from "./router.ts";
import { loadSettings } from "./settings-store.ts";
import { useShortcuts } from "./shortcuts.ts";
import { Sidebar } from "./sidebar.tsx";
import { StatusBar } from "./status-bar.tsx";
import { useMedia } from "./use-media.ts";
import { ViewBoundary } from "./view-boundary.tsx";

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

const foldedPx = 36;

/** The object, with the panel below it where the view has one. */
function ObjectAndBottom({ main, bottom }: { readonly main: ReactNode; readonly bottom: ReactNode | null }) {
  const rows = useDefaultLayout({ id: "assay-rows", storage: window.localStorage });
  const bottomRef = usePanelRef();
  const [isFolded, setFolded] = useState(false);
  if (bottom === null) {
    return main;
  }
  const toggle = (): void => (isFolded ? bottomRef.current?.expand() : bottomRef.current?.collapse());
  return (
    <Group
      orientation="vertical"
      defaultLayout={rows.defaultLayout}
      onLayoutChanged={rows.onLayoutChanged}
      id="assay-rows"
    >
      <Panel id="object" minSize="30%">
        {main}
      </Panel>
      <Separator className="separator-row" aria-label="Height of the panel below" />
      <Panel
        id="bottom"
        panelRef={bottomRef}
        defaultSize="26%"
        minSize="96px"
        collapsible
        collapsedSize={`${foldedPx}px`}
        onResize={(size) => setFolded(size.inPixels <= foldedPx + 1)}
        className={`bottom ${isFolded ? "is-folded-down" : ""}`}
      >
        {bottom}
        <span className="bottom-fold">
          <IconButton label={isFolded ? "Unfold the panel" : "Fold the panel"} onClick={toggle}>
            {isFolded ? <ChevronUp size={16} /> : <ChevronDown size={16} />}
          </IconButton>
        </span>
      </Panel>
    </Group>
  );
}

type BodyProps = { readonly feature: Feature; readonly route: Route };

function Body({ feature, route }: BodyProps) {
  const isNarrow = useMedia("(max-width: 900px)");
  const [isOverOpen, setOverOpen] = useState(false);
  const [isColumnFolded, setColumnFolded] = useState(false);
  const columns = useDefaultLayout({ id: "assay-columns", storage: window.localStorage });
  const detailsRef = usePanelRef();
  const { Main } = feature;
  const Details = feature.hasDetails?.(route) === false ? undefined : feature.Details;
  const Bottom = feature.hasBottom?.(route) === false ? undefined : feature.Bottom;
  const details = Details === undefined ? null : <Details route={route} />;
  const object = (
    <ObjectAndBottom
      main={
        <main className="main" aria-label={feature.title}>
          <ViewBoundary key={route.feature} name={feature.title}>
            <Main route={route} />
          </ViewBoundary>
        </main>
      }
      bottom={Bottom === undefined ? null : <Bottom route={route} />}
    />
  );
  const toggleDetails = (): void => {
    if (isNarrow) {
      setOverOpen(!isOverOpen);
    } else if (isColumnFolded) {
      detailsRef.current?.expand();
    } else {
      detailsRef.current?.collapse();
    }
  };
  return (
    <div className="body">
      <Header
        key={feature.id}
        feature={feature}
        route={route}
        onToggleDetails={details === null ? null : toggleDetails}
        areDetailsShown={isNarrow ? isOverOpen : !isColumnFolded}
      />
      {details === null || isNarrow ? (
        <div className="content">
          {object}
          {details !== null && isOverOpen ? (
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
          <Separator className="separator-column" aria-label="Width of the details" />
          <Panel
            id="details"
            panelRef={detailsRef}
            defaultSize="280px"
            minSize="220px"
            maxSize="45%"
            collapsible
            onResize={(size) => setColumnFolded(size.inPixels < 1)}
          >
            <aside className="details" aria-label="Details">
              {details}
            </aside>
          </Panel>
        </Group>
      )}
      <Notices />
    </div>
  );
}

export function App() {
  const route = useRoute();
  const feature = features.find((each) => each.id === route.feature) ?? features[0];
  const isSmall = useMedia("(max-width: 640px)");
  const [isSidebarFolded, setSidebarFolded] = useState(false);
  const toggleSidebar = useCallback(() => setSidebarFolded((folded) => !folded), []);
  useShortcuts(toggleSidebar);
  useEffect(() => {
    loadSettings().catch((error: unknown) => console.error(error));
    for (const each of features) {
      each.start?.();
    }
  }, []);
  return feature === undefined ? null : (
    <div className={`frame ${isSidebarFolded || isSmall ? "is-folded" : ""}`}>
      <Sidebar current={feature} />
      <Body feature={feature} route={route} />
      <StatusBar />
      <CommandPalette />
      <ShortcutSheet />
    </div>
  );
}
