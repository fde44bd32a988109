import type { Answer } from './answer.ts';
import { RECIPIENT_SCENARIOS, type Scenario, type ScenarioStage, SENDER_SCENARIOS } from './scenarios.ts';
import type { Session, SmtpEnvelope } from './session.ts';
import { localPartWithoutTag } from './smtp-syntax.ts';
import { saying, wordsOf } from './words.ts';

/** A scenario that an address asks for, with its number. */
export interface Called {
  scenario: Scenario;
  number: number;
}

const BY_LOCAL_PART = new Map<string, Scenario>(
  [...RECIPIENT_SCENARIOS, ...SENDER_SCENARIOS].map((scenario) => [scenario.localPart, scenario]),
);

/** @returns undefined for an ordinary address */
export function calledBy(address: string): Called | undefined {
  const local = localPartWithoutTag(address);
  const plain = BY_LOCAL_PART.get(local);
  if (plain) return { scenario: plain, number: plain.number?.fallback ?? 0 };
  const numbered = /^(.{1,40})-(\d{1,7})$/.exec(local);
  const scenario = BY_LOCAL_PART.get(numbered?.[1] ?? '');
  return scenario?.number && { scenario, number: Number(numbered?.[2]) };
}

/** How often a scenario that ends some time has played already, by what it is counted for. */
export class PlayCount {
  #plays = new Map<string, number>();
  static readonly #MAX = 10_000;

  /** @returns true if it plays now, having played fewer than `times` */
  playsFor(key: string, times: number): boolean {
    const played = this.#plays.get(key) ?? 0;
    if (played >= times) return false;
    this.#plays.delete(key);
    this.#plays.set(key, played + 1);
    const oldest = this.#plays.keys().next();
    if (this.#plays.size > PlayCount.#MAX && !oldest.done) this.#plays.delete(oldest.value);
    return true;
  }

  /** The next message of this kind begins anew. */
  forget(key: string): void {
    this.#plays.delete(key);
  }
}

/**
 * What the scenario has the server answer.
 *
 * @param ordinary what it would answer otherwise: said where the scenario only delays it
 */
export function perform({ scenario, number }: Called, session: Session, messageId: string, ordinary: Answer): Answer {
  const delay = scenario.number?.means === 'milliseconds' ? { delayMs: number } : {};
  const afterwards = scenario.afterwards ? { afterwards: scenario.afterwards } : {};
  if (scenario.reply) return { ...saying(wordsOf(scenario.reply, session)), ...delay, ...afterwards };
  if (scenario.words) return { say: scenario.words(session, messageId), ...delay, ...afterwards };
  return scenario.afterwards ? { ...delay, ...afterwards } : { ...ordinary, ...delay };
}

/** The first recipient that asks for a scenario of this stage, or else the sender. */
export function firstCalled(envelope: SmtpEnvelope, stage: ScenarioStage): Called | undefined {
  for (const address of [...envelope.recipients, envelope.reversePath]) {
    const called = calledBy(address);
    if (called?.scenario.stage === stage) return called;
  }
  return undefined;
}

/** The same recipient from the same sender, over connections and retries: what a greylist goes by. */
export function pairOf(envelope: SmtpEnvelope, recipient: string): string {
  return `${envelope.reversePath} ${recipient}`.toLowerCase();
}

/** Counted for one message or one pair, as the scenario has it. @returns true unless it has played often enough */
export function stillPlays({ scenario, number }: Called, key: string, plays: PlayCount): boolean {
  return scenario.number?.means !== 'times' || plays.playsFor(`${scenario.localPart} ${key}`, number);
}
