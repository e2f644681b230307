import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig, type Plugin } from "vite";

const PAGE = "../src/softaxe/serve/static/page";
const FLEET = "../src/softaxe/control/static";
const LANGUAGE = process.env.SOFTAXE_PAGE_LANGUAGE ?? "en";

/** Leaves scripts and styles gzipped only, as the device serves them. */
function gzipped(out: string): Plugin {
  return {
    name: "gzipped",
    closeBundle() {
      for (const name of readdirSync(out).filter((name) => /\.(js|css)$/.test(name))) {
        const path = join(out, name);
        writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }));
        rmSync(path);
      }
    },
  };
}

/** Two pages: a device's own by default, and the fleet's in mode `fleet`. */
export default defineConfig(({ mode }) => ({
  resolve: { alias: { $texts: fileURLToPath(new URL(`src/texts/${LANGUAGE}.ts`, import.meta.url)) } },
  plugins: [svelte(), gzipped(mode === "fleet" ? FLEET : PAGE)],
  build: {
    outDir: mode === "fleet" ? FLEET : PAGE,
    emptyOutDir: true,
    assetsDir: "",
    target: "es2023",
    modulePreload: false,
    rollupOptions: {
      input: mode === "fleet" ? "fleet.html" : "index.html",
      output: { entryFileNames: "app-[hash].js", assetFileNames: "[name]-[hash][extname]" },
    },
  },
}));
