import { describe, expect, it } from 'vitest';
import { localWindow } from '../../src/queue/local-window.ts';

describe('a process’s own count of the window', () => {
  it('frees a place one window after the reply, not after the start', () => {
    let now = 0;
    const window = localWindow(2, 1_000, () => now);
    const first = window.take();
    window.take()();
    now = 600;
    expect(window.wait()).toBe(400);
    first();
    now = 1_000;
    expect(window.wait()).toBe(0);
    window.take()();
    expect(window.wait()).toBe(600);
  });

  it('frees at once the place of an attempt that was not made', () => {
    const window = localWindow(1, 1_000, () => 0);
    const done = window.take();
    done(false);
    expect(window.wait()).toBe(0);
  });

  it('that is filled is free again after so long', () => {
    let now = 0;
    const window = localWindow(2, 1_000, () => now);
    window.fill(1_000);
    expect(window.wait()).toBe(1_000);
    now = 999;
    expect(window.wait()).toBe(1);
    now = 1_000;
    expect(window.wait()).toBe(0);
  });

  it('looks again soon while every place is taken by a running attempt', () => {
    const window = localWindow(1, 60_000, () => 0);
    window.take();
    expect(window.wait()).toBe(1_000);
  });
});
