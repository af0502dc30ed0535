// Tables can be read without this; it lets a person sort them by a click or the keyboard.
(function () {
  "use strict";
  var said = document.getElementById("said");
  function value(row, column) {
    var cell = row.cells[column];
    var number = cell.getAttribute("data-n");
    return number === null ? cell.textContent.trim().toLowerCase() : Number(number);
  }
  function compare(a, b) {
    if (typeof a === "number") { return a - b; }
    return a.localeCompare(b, "en", { numeric: true });
  }
  Array.from(document.querySelectorAll("table.sort")).forEach(function (table) {
    var heads = Array.from(table.tHead.rows[0].cells);
    heads.forEach(function (head, column) {
      var name = head.textContent;
      var button = document.createElement("button");
      button.type = "button";
      button.textContent = name;
      head.textContent = "";
      head.appendChild(button);
      button.addEventListener("click", function () {
        var numbers = table.tBodies[0].rows[0].cells[column].hasAttribute("data-n");
        var first = numbers ? "descending" : "ascending";
        var other = numbers ? "ascending" : "descending";
        var order = head.getAttribute("aria-sort") === first ? other : first;
        var sign = order === "ascending" ? 1 : -1;
        heads.forEach(function (other) { other.removeAttribute("aria-sort"); });
        head.setAttribute("aria-sort", order);
        var rows = Array.from(table.tBodies[0].rows);
        rows.sort(function (a, b) {
          return sign * compare(value(a, column), value(b, column));
        });
        rows.forEach(function (row) { table.tBodies[0].appendChild(row); });
        said.textContent = "sorted by " + name + ", " + order;
      });
    });
  });
})();
