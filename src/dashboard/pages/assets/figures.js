// Refreshes the figures of the operators' page; the page is complete without it.
(function () {
  "use strict";
  var head = document.getElementById("figures");
  var stale = document.getElementById("stale");
  if (!head || !window.fetch) return;
  var language = document.documentElement.lang === "en" ? "en-GB" : "vi-VN";
  var numbers = new Intl.NumberFormat(language);
  var every = Math.max(1000, Number(head.dataset.refreshMs) || 5000);

  function at(figures, path) {
    return path.split(".").reduce(function (value, key) {
      return value === undefined || value === null ? value : value[key];
    }, figures);
  }

  // Rows are redrawn by the server: when their keys differ from those shown, the page is loaded again.
  function shape(figures) {
    return [
      figures.destinations.map(function (d) {
        return [d.name, d.halted, d.rows.map(function (r) { return r.participant_id; }).join(","),
          d.batches.map(function (b) { return b.state + ":" + (b.reason || ""); }).join(",")].join("/");
      }).join(";"),
      figures.rules.map(function (r) { return r.rule; }).join(","),
      figures.batches.map(function (b) { return b.batch_id; }).join(",")
    ].join("|");
  }

  var units = language === "en-GB" ? ["s", "min", "h", "d"] : ["giây", "phút", "giờ", "ngày"];

  function age(seconds) {
    if (seconds === undefined || seconds === null) return "–";
    if (seconds < 60) return numbers.format(seconds) + " " + units[0];
    if (seconds < 3600) return numbers.format(Math.floor(seconds / 60)) + " " + units[1];
    if (seconds < 172800) return numbers.format(Math.floor(seconds / 3600)) + " " + units[2];
    return numbers.format(Math.floor(seconds / 86400)) + " " + units[3];
  }

  function write(element, text) {
    if (element.textContent === text) return;
    element.textContent = text;
    element.classList.add("changed");
    window.setTimeout(function () { element.classList.remove("changed"); }, 700);
  }

  function show(figures) {
    document.querySelectorAll("[data-figure]").forEach(function (element) {
      var value = at(figures, element.dataset.figure);
      if (typeof value !== "number") return;
      write(element, numbers.format(value));
      if (element.classList.contains("zero") && value !== 0) element.classList.remove("zero");
    });
    document.querySelectorAll("[data-age]").forEach(function (element) {
      write(element, age(at(figures, element.dataset.age)));
    });
    document.querySelectorAll("[data-balance]").forEach(function (element) {
      var balanced = at(figures, element.dataset.balance);
      element.className = "balance " + (balanced === true ? "yes" : balanced === false ? "no" : "open");
    });
    var time = new Date(figures.counted_at);
    var shown = document.getElementById("counted-at");
    shown.textContent = shown.textContent.replace(/\d\d:\d\d:\d\d/,
      time.toLocaleTimeString("en-GB", { timeZone: "Asia/Ho_Chi_Minh" }));
  }

  function refresh() {
    if (document.hidden) return;
    fetch("/v1/figures", { headers: { accept: "application/json" }, cache: "no-store" })
      .then(function (response) {
        if (!response.ok) throw new Error(String(response.status));
        return response.json();
      })
      .then(function (figures) {
        stale.hidden = true;
        if (shape(figures) !== head.dataset.shape) window.location.reload();
        else show(figures);
      })
      .catch(function () { stale.hidden = false; });
  }

  document.querySelectorAll(".live").forEach(function (element) { element.hidden = false; });
  window.setInterval(refresh, every);
})();
