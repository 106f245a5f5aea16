// Plays motions of capsules on a 2D canvas: projected by hand and painted from back to front, so it needs no WebGL.
"use strict";
(() => {
  const source = document.getElementById("motions");
  const canvas = document.getElementById("stage");
  if (!source || !canvas) return;
  const { shapes, motions } = JSON.parse(source.textContent);
  const element = (id) => document.getElementById(id);
  // What is translucent is painted in full on a sheet of its own first: its parts overlap and would add up.
  const sheet = document.createElement("canvas");
  let pen = canvas.getContext("2d");
  const chart = element("rewards");
  const VALUES_PER_BODY = 7, QUATERNION_UNIT = 32767, GHOST_ASIDE = 1.2;
  const COLOURS = { walker: [214, 120, 52], ghost: [70, 140, 200] };
  const view = { azimuth: -2.2, elevation: 0.2, distance: 4.2 };
  const state = { motion: null, frame: 0, playing: false, last: 0 };

  function unpack(text) {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    return new Int16Array(bytes.buffer);
  }

  function choose(index) {
    const motion = motions[index];
    motion.data ??= { walker: unpack(motion.walker), ghost: motion.ghost && unpack(motion.ghost) };
    motion.path ??= smoothedPath(motion);
    state.motion = motion;
    element("frame").max = motion.frames - 1;
    element("note").textContent = motion.note;
    element("ghost").disabled = !motion.ghost;
    show(0);
  }

  // The camera follows the root's path, smoothed so that steps do not shake it.
  function smoothedPath(motion) {
    const bodies = motion.data.walker.length / motion.frames / VALUES_PER_BODY;
    const raw = [0, 1].map((axis) => Array.from({ length: motion.frames },
      (_, frame) => motion.data.walker[frame * bodies * VALUES_PER_BODY + axis] * motion.scale));
    const half = Math.round(0.5 / motion.dt);
    return Array.from({ length: motion.frames }, (_, frame) => raw.map((line) => {
      const near = line.slice(Math.max(0, frame - half), frame + half + 1);
      return near.reduce((sum, value) => sum + value, 0) / near.length;
    }));
  }

  function rotate(q, v) {
    const [w, x, y, z] = q, [a, b, c] = v;
    const tx = 2 * (y * c - z * b), ty = 2 * (z * a - x * c), tz = 2 * (x * b - y * a);
    return [a + w * tx + y * tz - z * ty, b + w * ty + z * tx - x * tz, c + w * tz + x * ty - y * tx];
  }

  function capsules(motion, data, frame, aside) {
    const bodies = motion.data.walker.length / motion.frames / VALUES_PER_BODY;
    return shapes.map(({ body, a, b, r }) => {
      const at = (frame * bodies + body) * VALUES_PER_BODY;
      const q = [3, 4, 5, 6].map((i) => data[at + i] / QUATERNION_UNIT);
      const place = (end) => rotate(q, end).map((value, i) => value + data[at + i] * motion.scale + aside[i]);
      return { a: place(a), b: place(b), r };
    });
  }

  function camera() {
    const [x, y] = state.motion.path[state.frame];
    const height = 0.85 - state.motion.origin[2];
    const { azimuth, elevation, distance } = view;
    const [ca, sa, ce, se] = [Math.cos(azimuth), Math.sin(azimuth), Math.cos(elevation), Math.sin(elevation)];
    const forward = [-ca * ce, -sa * ce, -se], right = [-sa, ca, 0], up = [-ca * se, -sa * se, ce];
    const eye = [x - forward[0] * distance, y - forward[1] * distance, height - forward[2] * distance];
    const focal = 1.15 * Math.min(canvas.width, canvas.height * 1.2);
    const dot = (p, q) => p[0] * q[0] + p[1] * q[1] + p[2] * q[2];
    return (point) => {
      const away = point.map((value, i) => value - eye[i]);
      const depth = dot(away, forward);
      if (depth < 0.1) return null;
      return { x: canvas.width / 2 + focal * dot(away, right) / depth,
        y: canvas.height / 2 - focal * dot(away, up) / depth, depth, zoom: focal / depth };
    };
  }

  function paintFloor(project) {
    const floor = -state.motion.origin[2], [cx, cy] = state.motion.path[state.frame];
    const [ox, oy] = state.motion.origin, reach = 5;
    pen.lineWidth = Math.max(1, canvas.width / 900);
    const line = (from, to, fade) => {
      const [p, q] = [project(from), project(to)];
      if (!p || !q) return;
      pen.strokeStyle = `rgba(128,136,150,${fade})`;
      pen.beginPath(); pen.moveTo(p.x, p.y); pen.lineTo(q.x, q.y); pen.stroke();
    };
    // Lines lie on whole metres of the world, so that one sees how far the walker goes.
    const first = (centre, shift) => Math.ceil(centre + shift - reach) - shift;
    for (let x = first(cx, ox); x <= cx + reach; x += 1)
      for (let y = cy - reach; y < cy + reach; y += 1)
        line([x, y, floor], [x, y + 1, floor], 0.5 * Math.max(0, 1 - Math.hypot(x - cx, y + 0.5 - cy) / reach));
    for (let y = first(cy, oy); y <= cy + reach; y += 1)
      for (let x = cx - reach; x < cx + reach; x += 1)
        line([x, y, floor], [x + 1, y, floor], 0.5 * Math.max(0, 1 - Math.hypot(x + 0.5 - cx, y - cy) / reach));
  }

  function stroke(p, q, width, colour) {
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.beginPath(); pen.moveTo(p.x, p.y); pen.lineTo(q.x + 0.01, q.y); pen.stroke();
  }

  function onSheet(opacity, paintParts) {
    const base = pen;
    [sheet.width, sheet.height] = [canvas.width, canvas.height];
    pen = sheet.getContext("2d");
    pen.lineCap = "round";
    paintParts();
    pen = base;
    pen.globalAlpha = opacity;
    pen.drawImage(sheet, 0, 0);
    pen.globalAlpha = 1;
  }

  function paintShadow(project, parts) {
    const floor = -state.motion.origin[2];
    for (const { a, b, r } of parts) {
      const [p, q] = [project([a[0], a[1], floor]), project([b[0], b[1], floor])];
      if (p && q) stroke(p, q, 2 * r * (p.zoom + q.zoom) / 2 * 0.7, "rgb(90,95,105)");
    }
  }

  function paintBody(project, parts, [red, green, blue]) {
    const seen = parts.map(({ a, b, r }) => ({ p: project(a), q: project(b), r }))
      .filter(({ p, q }) => p && q).sort((s, t) => t.p.depth + t.q.depth - s.p.depth - s.q.depth);
    const shade = (factor) => `rgb(${[red, green, blue].map((value) => Math.min(255, value * factor) | 0)})`;
    for (const { p, q, r } of seen) {
      const width = r * (p.zoom + q.zoom);
      stroke(p, q, width + canvas.width / 450, shade(0.45));
      stroke(p, q, width, shade(0.85));
      const lift = width * 0.16;
      stroke({ x: p.x - lift, y: p.y - lift }, { x: q.x - lift, y: q.y - lift }, width * 0.45, shade(1.12));
    }
  }

  function aside() {
    if (element("ghost").value !== "beside") return [0, 0, 0];
    return [-Math.sin(view.azimuth) * GHOST_ASIDE, Math.cos(view.azimuth) * GHOST_ASIDE, 0];
  }

  function paint() {
    const { motion, frame } = state, project = camera();
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.lineCap = "round";
    paintFloor(project);
    const ghostFrame = frame - motion.ghostFrom;
    const ghost = motion.data.ghost && element("ghost").value !== "hidden" && ghostFrame >= 0
      ? capsules(motion, motion.data.ghost, ghostFrame, aside()) : null;
    const body = capsules(motion, motion.data.walker, frame, [0, 0, 0]);
    onSheet(0.22, () => paintShadow(project, ghost ? [...ghost, ...body] : body));
    if (ghost) onSheet(element("ghost").value === "over" ? 0.5 : 0.9, () => paintBody(project, ghost, COLOURS.ghost));
    paintBody(project, body, COLOURS.walker);
    paintRewards();
  }

  function paintRewards() {
    const { motion, frame } = state, ink = chart.getContext("2d");
    chart.hidden = !motion.rewards.length;
    if (chart.hidden) return;
    const top = Math.max(1, ...motion.rewards), last = motion.frames - 1;
    ink.clearRect(0, 0, chart.width, chart.height);
    ink.strokeStyle = "#d67834"; ink.lineWidth = 2;
    ink.beginPath();
    motion.rewards.forEach((reward, step) =>
      ink.lineTo((step + 1) / last * chart.width, chart.height - 2 - reward / top * (chart.height - 4)));
    ink.stroke();
    ink.fillStyle = "rgba(128,136,150,0.8)";
    ink.fillRect(frame / last * chart.width - 1, 0, 2, chart.height);
  }

  function show(frame) {
    const last = state.motion.frames - 1;
    state.frame = Math.min(Math.max(Math.round(frame), 0), last);
    element("frame").value = state.frame;
    const { dt, rewards } = state.motion, reward = rewards[state.frame - 1];
    element("clock").textContent = `step ${state.frame} of ${last}, ${(state.frame * dt).toFixed(2)} s`
      + (reward === undefined ? "" : `, reward ${reward.toFixed(3)}`);
    paint();
  }

  function play(on) {
    state.playing = on;
    element("play").textContent = on ? "Pause" : "Play";
    if (!on) return;
    if (state.frame >= state.motion.frames - 1) show(0);
    state.last = performance.now();
    state.exact = state.frame;
    requestAnimationFrame(advance);
  }

  function advance(now) {
    if (!state.playing) return;
    const steps = Math.max(0, now - state.last) / 1000 / state.motion.dt * Number(element("speed").value);
    state.last = now;
    state.exact += steps;
    if (state.exact >= state.motion.frames - 1) {
      if (!element("loop").checked) { show(state.motion.frames - 1); play(false); return; }
      state.exact = 0;
    }
    if (Math.floor(state.exact) !== state.frame) show(Math.floor(state.exact));
    requestAnimationFrame(advance);
  }

  function fit() {
    const ratio = window.devicePixelRatio || 1;
    for (const each of [canvas, chart]) {
      each.width = Math.max(1, Math.round(each.clientWidth * ratio));
      each.height = Math.max(1, Math.round(each.clientHeight * ratio));
    }
    paint();
  }

  function scrub(event) {
    const box = chart.getBoundingClientRect();
    play(false);
    show((event.clientX - box.left) / box.width * (state.motion.frames - 1));
  }

  element("ghost").closest("label").hidden = !motions.some((motion) => motion.ghost);
  motions.forEach((motion, index) => element("motion").add(new Option(motion.title, index)));
  element("motion").addEventListener("change", (event) => { play(false); choose(Number(event.target.value)); });
  element("play").addEventListener("click", () => play(!state.playing));
  element("frame").addEventListener("input", (event) => { play(false); show(Number(event.target.value)); });
  element("ghost").addEventListener("change", paint);
  chart.addEventListener("pointerdown", scrub);
  chart.addEventListener("pointermove", (event) => { if (event.buttons) scrub(event); });
  canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
  canvas.addEventListener("pointermove", (event) => {
    if (!event.buttons) return;
    view.azimuth -= event.movementX * 0.008;
    view.elevation = Math.min(1.5, Math.max(-0.05, view.elevation + event.movementY * 0.006));
    paint();
  });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    view.distance = Math.min(15, Math.max(1.5, view.distance * Math.exp(event.deltaY * 0.001)));
    paint();
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === " ") play(!state.playing);
    else if (step) { play(false); show(state.frame + step); }
    else return;
    event.preventDefault();
  });
  choose(0);
  new ResizeObserver(fit).observe(canvas);
  fit();
})();
