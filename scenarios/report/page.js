"use strict";
(() => {
  const source = document.getElementById("chart-data").textContent;
  const charts = [...document.querySelectorAll(".chart")];
  const config = { displayModeBar: false, responsive: true };
  // A finger must be able to scroll the page over a chart.
  const isTouch = matchMedia("(pointer: coarse)").matches;

  const figures = () => {
    const style = getComputedStyle(document.documentElement);
    return JSON.parse(source, (key, value) =>
      typeof value === "string" && value.startsWith("--") ? style.getPropertyValue(value).trim() : value,
    );
  };

  let size = {};
  const draw = () =>
    Promise.all(
      figures().map(({ data, layout }, index) => {
        Object.assign(layout, size, { dragmode: isTouch ? false : "zoom" });
        return Plotly.react(charts[index], data, layout, config);
      }),
    );

  let isFollowing = false;
  const link = (chart) =>
    chart.on("plotly_relayout", async (change) => {
      if (isFollowing || !Object.keys(change).some((key) => key.startsWith("xaxis."))) return;
      isFollowing = true;
      const range = [...chart.layout.xaxis.range];
      const peers = charts.filter((peer) => peer !== chart && peer.dataset.zoom === chart.dataset.zoom);
      await Promise.all(peers.map((peer) => Plotly.relayout(peer, { "xaxis.range": range })));
      isFollowing = false;
    });

  draw().then(() => {
    charts.forEach(link);
    document.documentElement.dataset.drawn = String(charts.length);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

  // Paper has no scrollbar: columns shrink to what a landscape A4 page holds (see page.css).
  const columns = new Set(charts.map((chart) => chart.offsetLeft)).size;
  const toPaper = () => {
    size = { width: Math.floor((1030 - 16 * (columns - 1)) / columns), height: 180 };
    draw();
  };
  // Browsers differ in whether the page or its style leaves paper first, so both restore the size.
  const toScreen = async () => {
    size = {};
    await draw();
    charts.forEach((chart) => Plotly.Plots.resize(chart));
  };
  addEventListener("beforeprint", toPaper);
  addEventListener("afterprint", toScreen);
  matchMedia("print").addEventListener("change", ({ matches }) => (matches ? toPaper() : toScreen()));
})();
