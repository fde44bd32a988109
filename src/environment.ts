import { readFileSync } from 'node:fs';
import { SETTINGS, type Setting, type SettingName } from './settings.ts';

export type Reader = ReturnType<typeof reader>;

/** Reads single variables; an empty one counts as not set, as in a compose file's `${NAME:-}`. */
export function reader(environment: NodeJS.ProcessEnv, faults: string[]) {
  const secrets = new Set(SETTINGS.filter((each: Setting) => each.secret).map((each) => each.name));

  function text(name: SettingName): string | undefined {
    const value = environment[name]?.trim() || undefined;
    const file = secrets.has(name as never) ? environment[`${name}_FILE`]?.trim() : undefined;
    if (!file) return value;
    if (value) faults.push(`${name} and ${name}_FILE are both set; keep one.`);
    return readSecret(`${name}_FILE`, file) ?? value;
  }

  function readSecret(name: string, path: string): string | undefined {
    try {
      const value = readFileSync(path, 'utf8').trim();
      if (!value) faults.push(`${name} names an empty file: ${path}`);
      return value || undefined;
    } catch (error) {
      faults.push(`${name} cannot be read: ${(error as Error).message}`);
      return undefined;
    }
  }

  function number(name: SettingName, usual: number, least: number, most: number): number {
    const value = text(name);
    if (value === undefined) return usual;
    const parsed = Number(value);
    if (/^\d+(\.\d+)?$/.test(value) && parsed >= least && parsed <= most) return parsed;
    faults.push(`${name} must be a number from ${least} to ${most}, not "${shown(value)}".`);
    return usual;
  }

  function optionalWhole(name: SettingName, least: number, most: number): number | undefined {
    const value = text(name);
    if (value === undefined) return undefined;
    if (/^\d{1,12}$/.test(value) && Number(value) >= least && Number(value) <= most) return Number(value);
    faults.push(`${name} must be a whole number from ${least} to ${most}, not "${shown(value)}".`);
    return undefined;
  }

  function oneOf(name: SettingName, choices: string[], usual: string): string {
    const value = text(name) ?? usual;
    if (choices.includes(value)) return value;
    faults.push(`${name} must be one of ${choices.join(', ')}, not "${shown(value)}".`);
    return usual;
  }

  return {
    text,
    number,
    optionalWhole,
    oneOf,
    whole: (name: SettingName, usual: number, least: number, most: number) => optionalWhole(name, least, most) ?? usual,
    file: readSecret,
  };
}

/** A value as it is shown in a fault: short, and on one line. */
export function shown(value: string): string {
  return JSON.stringify(value.slice(0, 40)).slice(1, -1);
}
