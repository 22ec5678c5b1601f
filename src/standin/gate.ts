/**
 * A point at which a scripted stream stops until the test lets it go on, so that "in mid-message" is
 * a place and not a moment.
 */
export interface Gate {
  readonly reached: boolean;
  /** Resolves once a stream has come to this gate. */
  waitUntilReached(): Promise<void>;
  /** Lets the stream pass, also one that has not come yet. */
  open(): void;
  /** The stream's side: marks the gate as reached and resolves when it is open. */
  pass(): Promise<void>;
}

/**
 * Each promise is made by the one who waits on it: in workerd a promise settles only while the
 * request that created it lives, and a gate may outlive the request that created the gate.
 */
export function createGate(): Gate {
  const arrivals: (() => void)[] = [];
  const releases: (() => void)[] = [];
  let reached = false;
  let isOpen = false;
  return {
    get reached() {
      return reached;
    },
    waitUntilReached() {
      return reached ? Promise.resolve() : new Promise((resolve) => arrivals.push(resolve));
    },
    open() {
      isOpen = true;
      for (const release of releases.splice(0)) release();
    },
    pass() {
      reached = true;
      for (const arrive of arrivals.splice(0)) arrive();
      return isOpen ? Promise.resolve() : new Promise((resolve) => releases.push(resolve));
    },
  };
}
