import { cpSync, mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { defineConfig, type Plugin } from "vite";

// The folium report of a plan is one file that holds Leaflet itself; the server takes it from here.
const LEAFLET = ["leaflet.js", "leaflet.css", "images/layers.png", "images/layers-2x.png"];

function vendorLeaflet(): Plugin {
  return {
    name: "vendor-leaflet",
    apply: "build",
    closeBundle() {
      const target = resolve(import.meta.dirname, "dist/vendor/leaflet");
      mkdirSync(resolve(target, "images"), { recursive: true });
      for (const file of LEAFLET) {
        cpSync(resolve(import.meta.dirname, "node_modules/leaflet/dist", file), resolve(target, file));
      }
    },
  };
}

// One HTML file a page, so that each page loads only what it needs; everything else goes to /assets/ under a name
// that carries its hash and may be kept for ever. Nothing is inlined: the server's policy allows no inline code.
export default defineConfig({
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1500,
    rolldownOptions: {
      input: [
        "index.html",
        "login/index.html",
        "planner/index.html",
        "desk/index.html",
        "command/index.html",
        "field/index.html",
        "missing/index.html",
      ],
    },
  },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  plugins: [vendorLeaflet()],
  server: { proxy: { "/api": "http://127.0.0.1:8000", "/tiles": "http://127.0.0.1:8000" } },
});
