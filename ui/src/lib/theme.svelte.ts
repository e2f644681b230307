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
    this.show();
    system.addEventListener("change", () => {
      this.systemIsDark = system.matches;
      this.show();
    });
  }

  choose(choice: Choice): void {
    this.choice = choice;
    localStorage.setItem(KEY, choice);
    this.show();
  }

  /** At once, not in an effect: charts read the new colours in theirs. */
  private show(): void {
    document.documentElement.dataset.theme = this.shown;
  }
}

function stored(): Choice {
  const text = localStorage.getItem(KEY);
  return text === "light" || text === "dark" ? text : "auto";
}

export const theme = new Theme();
