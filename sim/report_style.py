"""Style sheet and script of the report page: no network, light and dark."""

__all__ = ["STYLE", "SCRIPT"]

STYLE = """
:root { color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --text: #1b2330; --soft: #5c6878; --line: #dde2e9;
  --accent: #1f6feb; --good: #1a7f4b; --good-soft: #e3f4ea; --bad: #c0362c; --bad-soft: #fbe6e4;
  --bid: #1f6feb; --ask: #d9730d; --s1: #3b7ddd; --s2: #7a5cc7; --s3: #15928b; --s4: #8a94a3;
  --room: #eef3fb; --room-line: #b9cdec; }
@media (prefers-color-scheme: dark) { :root {
  --page: #10141a; --card: #181e27; --text: #e4e9f0; --soft: #97a3b4; --line: #2c3542;
  --accent: #6ea8fe; --good: #54c98a; --good-soft: #17352a; --bad: #ff8076; --bad-soft: #3c1f1f;
  --bid: #6ea8fe; --ask: #f2a65a; --s1: #5a95ea; --s2: #a08be0; --s3: #3fb8ae; --s4: #7c8797;
  --room: #1d2838; --room-line: #38506f; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 28px 24px 48px; }
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: 6px 16px; }
h1 { font-size: 26px; margin: 0; letter-spacing: -.01em; }
h2 { font-size: 18px; margin: 0 0 4px; }
h3 { font-size: 14px; margin: 0 0 8px; }
p.note { color: var(--soft); margin: 0 0 14px; max-width: 125ch; }
.sub { color: var(--soft); flex-basis: 100%; margin: 0; overflow-wrap: anywhere; }
.pill { border-radius: 99px; padding: 2px 12px; font-weight: 600; font-size: 13px; }
.pill.good { background: var(--good-soft); color: var(--good); }
.pill.bad { background: var(--bad-soft); color: var(--bad); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  padding: 20px 22px; margin-top: 18px; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(155px, 1fr)); gap: 10px;
  margin-top: 18px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  padding: 12px 14px; }
.card .value { font-size: 24px; font-weight: 650; letter-spacing: -.01em;
  font-variant-numeric: tabular-nums; white-space: nowrap; }
.card .value small { font-size: 14px; font-weight: 500; color: var(--soft); }
.card .label { color: var(--soft); font-size: 13px; line-height: 1.35; }
.card.bad .value { color: var(--bad); }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(330px, 1fr)); gap: 28px; }
table { border-collapse: collapse; width: 100%; font-size: 14px;
  font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--soft); font-weight: 600; font-size: 12.5px; }
th, td { padding: 5px 10px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
tr:last-child td { border-bottom: 0; }
td.n, th.n { text-align: right; white-space: nowrap; }
td.buy { color: var(--bid); font-weight: 600; } td.sell { color: var(--ask); font-weight: 600; }
td.ok { color: var(--good); } td.no { color: var(--bad); font-weight: 600; }
.zero { color: var(--soft); }
.scroll { max-height: 420px; overflow: auto; }
.scroll thead th { position: sticky; top: 0; background: var(--card); }
.faults { color: var(--bad); font-size: 13px; margin: 10px 0 0; padding-left: 18px;
  overflow-wrap: anywhere; }
code { font-size: 13px; overflow-wrap: anywhere; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--text); font: 13px system-ui, "Segoe UI", Roboto, Arial, sans-serif; }
svg text.soft { fill: var(--soft); } svg text.small { font-size: 11.5px; }
svg text.strong { font-weight: 650; } svg text.on { fill: #fff; font-weight: 600; }
svg .room { fill: var(--room); stroke: var(--room-line); }
svg .wire { stroke: var(--soft); fill: none; stroke-width: 1.5; }
svg .tip { fill: var(--soft); }
svg .grid { stroke: var(--line); } svg .axis { stroke: var(--soft); }
svg .s1 { fill: var(--s1); } svg .s2 { fill: var(--s2); } svg .s3 { fill: var(--s3); }
svg .s4 { fill: var(--s4); }
svg .bid { stroke: var(--bid); fill: none; stroke-width: 1.6; }
svg .ask { stroke: var(--ask); fill: none; stroke-width: 1.6; }
svg .mark { stroke: var(--card); stroke-width: 1.2; }
svg .mark.buy { fill: var(--bid); } svg .mark.sell { fill: var(--ask); }
.hist { display: grid; grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); gap: 18px 26px;
  margin-bottom: 18px; }
select { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; padding: 4px 10px; }
.legend { display: inline-flex; gap: 16px; color: var(--soft); font-size: 13px; margin-left: 14px;
  flex-wrap: wrap; }
.legend i { display: inline-block; width: 18px; height: 3px; vertical-align: middle;
  margin-right: 5px; border-radius: 2px; }
.legend i.dot { width: 10px; height: 10px; border-radius: 50%; }
footer { color: var(--soft); font-size: 13px; margin-top: 18px; }
"""

# Draws the touch of the chosen instrument: step lines, gaps where a side is empty, order marks.
SCRIPT = """
(function () {
  var data = JSON.parse(document.getElementById('touch-data').textContent);
  var box = document.getElementById('touch-plot'), pick = document.getElementById('touch-pick');
  if (!pick) return;
  var W = 1180, H = 330, L = 84, R = 12, T = 12, B = 44, NS = 'http://www.w3.org/2000/svg';
  function add(parent, name, attributes, text) {
    var e = document.createElementNS(NS, name);
    for (var k in attributes) e.setAttribute(k, attributes[k]);
    if (text !== undefined) e.textContent = text;
    parent.appendChild(e); return e;
  }
  function step(span, count) {
    var raw = span / count, p = Math.pow(10, Math.floor(Math.log10(raw))), f = raw / p;
    return (f < 1.5 ? 1 : f < 3.5 ? 2 : f < 7.5 ? 5 : 10) * p;
  }
  function draw() {
    var one = data[pick.value], t = one.time, svg, all = [];
    one.bid.concat(one.ask).forEach(function (v) { if (v !== null) all.push(v); });
    one.orders.forEach(function (o) { all.push(o[1]); });
    var lo = Math.min.apply(null, all), hi = Math.max.apply(null, all);
    var pad = (hi - lo || Math.abs(hi) * 0.001 || 1) * 0.06; lo -= pad; hi += pad;
    var t0 = t[0], t1 = Math.max(t[t.length - 1], t0 + 1e-3);
    one.orders.forEach(function (o) { t0 = Math.min(t0, o[0]); t1 = Math.max(t1, o[0]); });
    function x(v) { return L + (v - t0) / (t1 - t0) * (W - L - R); }
    function y(v) { return H - B - (v - lo) / (hi - lo) * (H - T - B); }
    box.textContent = '';
    svg = add(box, 'svg', {viewBox: '0 0 ' + W + ' ' + H, role: 'img',
      'aria-label': 'Touch of ' + one.name + ' over time'});
    var s = step(hi - lo, 6), digits = Math.max(0, -Math.floor(Math.log10(s) + 1e-9));
    for (var v = Math.ceil(lo / s) * s; v <= hi; v += s) {
      add(svg, 'line', {x1: L, x2: W - R, y1: y(v), y2: y(v), 'class': 'grid'});
      add(svg, 'text', {x: L - 8, y: y(v) + 4, 'text-anchor': 'end', 'class': 'soft small'},
        v.toFixed(digits));
    }
    s = step(t1 - t0, 10); digits = Math.max(0, -Math.floor(Math.log10(s) + 1e-9));
    for (v = Math.ceil(t0 / s) * s; v <= t1; v += s) {
      add(svg, 'line', {x1: x(v), x2: x(v), y1: H - B, y2: H - B + 5, 'class': 'axis'});
      add(svg, 'text', {x: x(v), y: H - B + 20, 'text-anchor': 'middle', 'class': 'soft small'},
        v.toFixed(digits));
    }
    add(svg, 'line', {x1: L, x2: W - R, y1: H - B, y2: H - B, 'class': 'axis'});
    add(svg, 'text', {x: (L + W - R) / 2, y: H - 6, 'text-anchor': 'middle',
      'class': 'soft small'}, "feed time since the capture's first message, seconds");
    ['bid', 'ask'].forEach(function (side) {
      var path = '', open = false, values = one[side];
      for (var i = 0; i < t.length; i++) {
        if (values[i] === null) { if (open) path += 'H' + x(t[i]).toFixed(1); open = false; }
        else if (open) path += 'H' + x(t[i]).toFixed(1) + 'V' + y(values[i]).toFixed(1);
        else { path += 'M' + x(t[i]).toFixed(1) + ' ' + y(values[i]).toFixed(1); open = true; }
      }
      if (open) path += 'H' + x(t1).toFixed(1);
      add(svg, 'path', {d: path || 'M0 0', 'class': side});
    });
    one.orders.forEach(function (o) {
      var m = add(svg, 'circle', {cx: x(o[0]), cy: y(o[1]), r: 4.5, 'class': 'mark ' + o[2]});
      add(m, 'title', {}, o[2] + ' at ' + o[1] + ', ' + o[0].toFixed(3) + ' s');
    });
  }
  pick.addEventListener('change', draw); draw();
})();
"""
