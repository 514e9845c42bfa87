/**
 * The dashes that run along lines with traffic. A few steps a second from one timer: an animation in CSS repaints the
 * whole graph sixty times a second. They rest while nobody looks.
 */

const STEP = 160; // ms
const CYCLE = 20; // px, after which dashes look the same: the lengths in graph.css
const REST = 2 * 60 * 1000; // without a sign of a person

/** Moves what is drawn in `element` by its property --flow. */
export class Motion {
  constructor(element) {
    this.element = element;
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    this.held = false;
    this.step = 0;
    this.wake();
    for (const sign of ["pointermove", "keydown", "scroll", "focus"]) window.addEventListener(sign, () => this.wake(), { passive: true });
    setInterval(() => this.run(), STEP);
  }

  /** Somebody is there, or something happened that is worth a look. */
  wake() {
    this.awake = performance.now();
  }

  run() {
    if (this.held || document.hidden || this.still.matches || performance.now() - this.awake > REST) return;
    this.step = (this.step + 1) % CYCLE;
    this.element.style.setProperty("--flow", String(this.step));
  }
}
