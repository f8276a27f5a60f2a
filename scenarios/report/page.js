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

  let paper = null;
  const sizeOn = (chart, layout) => {
    const own = { height: layout.height };
    return paper ? { width: paper, height: chart.classList.contains("tall") ? 260 : 180 } : own;
  };

  // A legend of several lines takes its height from the plot, so the chart grows by what it takes.
  const grow = (chart) => {
    const legend = chart.querySelector(".legend .bg");
    const extra = legend ? Math.ceil(legend.getBBox().height) - 30 : 0;
    if (paper || extra <= 0) return null;
    const height = chart.layout.height + extra;
    chart.style.height = `${height}px`;
    return Plotly.relayout(chart, { height });
  };

  const draw = () =>
    Promise.all(
      figures().map(async ({ data, layout }, index) => {
        const chart = charts[index];
        Object.assign(layout, sizeOn(chart, layout), { dragmode: isTouch ? false : "zoom" });
        chart.style.height = paper ? "" : `${layout.height}px`;
        await Plotly.react(chart, data, layout, config);
        return grow(chart);
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
    paper = Math.floor((1030 - 16 * (columns - 1)) / columns);
    draw();
  };
  // Browsers differ in whether the page or its style leaves paper first, so both restore the size.
  const toScreen = async () => {
    paper = null;
    await draw();
    charts.forEach((chart) => Plotly.Plots.resize(chart));
  };
  addEventListener("beforeprint", toPaper);
  addEventListener("afterprint", toScreen);
  matchMedia("print").addEventListener("change", ({ matches }) => (matches ? toPaper() : toScreen()));
})();
