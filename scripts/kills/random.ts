/** Seeded choices: the same seed and name choose the same things again. */
export class Random {
  #state: number;

  /**
   * Every client has a generator of its own, by its name: so what one of them does is chosen the
   * same way again, whatever the others did meanwhile.
   */
  constructor(seed: number, name: string) {
    // FNV-1a.
    let hash = 0x811c9dc5 ^ seed;
    for (const character of name) hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193);
    this.#state = hash >>> 0;
  }

  /** In [0, 1). The generator is mulberry32. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number, both ends included. */
  between(min: number, max: number): number {
    return min + Math.floor(this.next() * (max - min + 1));
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** One of the choices, each as often as its weight says. */
  pick<T extends string>(weights: Readonly<Record<T, number>>): T {
    // The keys of the record are its type parameter.
    const entries = Object.entries(weights) as [T, number][];
    const all = entries.reduce((sum, [, weight]) => sum + weight, 0);
    let left = this.next() * all;
    const chosen = entries.find(([, weight]) => {
      left -= weight;
      return left < 0;
    });
    return (chosen ?? entries[0] ?? failed())[0];
  }
}

function failed(): never {
  throw new Error("there is nothing to choose from");
}
