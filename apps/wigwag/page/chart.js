// Small line charts, in SVG.

const HEIGHT = 64;

/** Lines over one common scale, `length` values wide; `null` is a gap (a lost ping, a number not told) and is left out. */
export function drawChart(svg, lines, length) {
  const known = lines.flatMap(({ values }) => values.filter((value) => value !== null));
  const top = known.reduce((top, value) => Math.max(top, value), 1e-9) * 1.15;
  const point = (value, i) =>
    `${((i / Math.max(length - 1, 1)) * 100).toFixed(2)},${(HEIGHT - (value / top) * (HEIGHT - 2)).toFixed(2)}`;
  const line = ({ values, way }) => {
    const points = values.flatMap((value, i) => (value === null ? [] : [point(value, i)]));
    if (points.length < 2) return "";
    const [first, last] = [points[0].split(",")[0], points.at(-1).split(",")[0]];
    return (
      `<g class="${way}"><polygon points="${first},${HEIGHT} ${points.join(" ")} ${last},${HEIGHT}"/>` +
      `<polyline points="${points.join(" ")}"/></g>`
    );
  };
  svg.innerHTML = `<line class="base" x1="0" y1="${HEIGHT}" x2="100" y2="${HEIGHT}"/>${lines.map(line).join("")}`;
}
