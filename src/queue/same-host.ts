import { readFileSync, readlinkSync } from 'node:fs';

/** This boot of this machine: what happened before, by its monotonic clock, is not of this time. Undefined where unknown. */
export const BOOT = bootId();

function bootId(): string | undefined {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}

/** Where process ids mean the same: this boot of this machine, in this namespace. Undefined where that cannot be known. */
const NAMESPACE = namespace();

function namespace(): string | undefined {
  if (BOOT === undefined) return undefined;
  try {
    return `${BOOT}.${readlinkSync('/proc/self/ns/pid').replace(/\D/g, '')}`;
  } catch {
    return undefined;
  }
}

/** Names this process, for others to find out whether it is dead. */
export function processName(pid = process.pid): string {
  return `${NAMESPACE ?? 'unknown'}.${pid}`;
}

/** Is the process that had this name surely dead? One that sleeps is not, nor one of which nothing can be known. */
export function isDead(name: string): boolean {
  const [, where, pid] = /^(.+)\.(\d+)$/.exec(name) ?? [];
  if (NAMESPACE === undefined || where !== NAMESPACE) return false;
  try {
    process.kill(Number(pid), 0);
    return isZombie(Number(pid));
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

/** Dead, and not yet looked after by its parent. */
function isZombie(pid: number): boolean {
  try {
    return hasEnded(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/**
 * Is a process over, with its files closed, by what proc_pid_stat(5) tells of it? The state (field 3) is that of its first
 * thread; while others (field 20) are still ending, its connections are open.
 */
export function hasEnded(stat: string): boolean {
  const fields = stat.split(') ').at(-1)?.split(' ') ?? [];
  return /^[ZX]$/.test(fields[0] ?? '') && Number(fields[17]) <= 1;
}
