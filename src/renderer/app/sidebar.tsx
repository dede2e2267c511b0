// The objects of the work, and Settings at the foot.
import type { Count, Feature } from "./feature.ts";
import { features } from "./features.ts";
import { routeHash } from "./router.ts";

function CountOf({ useCount }: { readonly useCount: () => Count | null }) {
  // oxlint-disable-next-line react/hooks -- a feature's hook never changes: features are a constant list
  const count = useCount();
  return count === null ? null : (
    <span className="sidebar-count">
      {count.value}
      <span className="sr-only"> under way</span>
      {count.isLive ? <span className="live-dot" aria-hidden="true" /> : null}
    </span>
  );
}

function Entry({ feature, isCurrent }: { readonly feature: Feature; readonly isCurrent: boolean }) {
  const Icon = feature.icon;
  return (
    <a
      className={`sidebar-entry ${isCurrent ? "is-current" : ""}`}
      href={routeHash(feature.id)}
      aria-current={isCurrent ? "page" : undefined}
    >
      <Icon size={16} strokeWidth={1.6} aria-hidden="true" />
      <span className="sidebar-label">{feature.title}</span>
      {feature.useCount === undefined ? null : <CountOf useCount={feature.useCount} />}
    </a>
  );
}

export function Sidebar({ current }: { readonly current: Feature }) {
  const entry = (feature: Feature) => <Entry key={feature.id} feature={feature} isCurrent={feature === current} />;
  return (
    <nav className="sidebar" aria-label="Objects">
      <div className="sidebar-brand">ASSAY</div>
      {features.filter((feature) => feature.id !== "settings").map(entry)}
      <span className="sidebar-space" />
      {features.filter((feature) => feature.id === "settings").map(entry)}
    </nav>
  );
}
