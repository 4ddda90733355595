// Classic script in the head: applies the stored theme and density before the first paint.
(function () {
  try {
    var prefs = JSON.parse(localStorage.getItem("gateway.prefs") || "{}"), root = document.documentElement;
    if (prefs.theme === "light" || prefs.theme === "dark") root.dataset.theme = prefs.theme;
    if (prefs.density === "compact") root.dataset.density = "compact";
  } catch (error) {
    // Storage closed by the browser: the page follows the system.
  }
})();
