import "@fontsource-variable/inter";
import "@fontsource-variable/jetbrains-mono";
import "./ui/tokens.css";
import "./ui/base.css";
import "./ui/forms.css";
import "./app/app.css";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app/app.tsx";

const host = document.getElementById("root");
if (host === null) {
  throw new Error("index.html has no #root.");
}
createRoot(host).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
