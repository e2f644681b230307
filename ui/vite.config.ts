import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig, type Plugin } from "vite";

const OUT = "../src/softaxe/shell/static/page";

/** Leaves scripts and styles gzipped only, as the device serves them. */
function gzipped(): Plugin {
  return {
    name: "gzipped",
    closeBundle() {
      for (const name of readdirSync(OUT).filter((name) => /\.(js|css)$/.test(name))) {
        const path = join(OUT, name);
        writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }));
        rmSync(path);
      }
    },
  };
}

export default defineConfig({
  plugins: [svelte(), gzipped()],
  build: {
    outDir: OUT,
    emptyOutDir: true,
    assetsDir: "",
    target: "es2023",
    modulePreload: false,
    rollupOptions: {
      output: { entryFileNames: "app-[hash].js", assetFileNames: "[name]-[hash][extname]" },
    },
  },
});
