/** Light or dark: the system's choice until the owner makes another. */

export type Choice = "auto" | "light" | "dark";

const KEY = "softaxe-theme";
const system = matchMedia("(prefers-color-scheme: dark)");

class Theme {
  choice = $state<Choice>(stored());
  private systemIsDark = $state(system.matches);
  /** What is on the screen. */
  shown = $derived(this.choice === "auto" ? (this.systemIsDark ? "dark" : "light") : this.choice);

  constructor() {
    system.addEventListener("change", () => (this.systemIsDark = system.matches));
  }

  choose(choice: Choice): void {
    this.choice = choice;
    localStorage.setItem(KEY, choice);
  }
}

function stored(): Choice {
  const text = localStorage.getItem(KEY);
  return text === "light" || text === "dark" ? text : "auto";
}

export const theme = new Theme();
