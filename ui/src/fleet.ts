import "uplot/dist/uPlot.min.css";
import "./app.css";
import { mount } from "svelte";
import Fleet from "./fleet/Fleet.svelte";

const target = document.getElementById("app");
if (target) mount(Fleet, { target });
