/** A figure's past as a small line. */

const MOST_POINTS = 60;

/** Refused shares in percent of those that were answered; null before the first. */
export function rejectShare(accepted: number, rejected: number): number | null {
  const answered = accepted + rejected;
  return answered ? (100 * rejected) / answered : null;
}

/** An SVG path through values, oldest left, least at the bottom; where nothing is known, a gap. */
export function line(values: (number | null)[], width: number, height: number): string {
  const step = Math.ceil(values.length / MOST_POINTS);
  const thin = values.filter((_, place) => (values.length - 1 - place) % step === 0);
  const known = thin.filter((value) => value !== null);
  const least = Math.min(...known);
  const span = Math.max(...known) - least;
  let isOn = false;
  return thin
    .map((value, place) => {
      const wasOn = isOn;
      isOn = value !== null;
      if (value === null) return "";
      const x = (width * place) / Math.max(1, thin.length - 1);
      const y = span ? height - (height * (value - least)) / span : height / 2;
      return `${wasOn ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    })
    .join("");
}
