import type { z } from 'zod';

/** Takes what is `null` out of a value just parsed from JSON, in place, and returns it. */
export type WithoutNulls = (received: unknown) => unknown;

/**
 * Many serializers (of Java and C#, unless told otherwise) write `null` for every field that nobody set. So a `null` is
 * the same as no field where the schema lets the field be absent and gives `null` no meaning of its own. A required
 * field, an unknown one, and an entry of a record or a list keep it, and are complained about by name.
 */
export function withoutNulls(schema: z.core.$ZodType): WithoutNulls {
  return compile([schema]) ?? ((received) => received);
}

/** Of the definitions of zod's schemas, what leads further down. */
interface Def {
  type: string;
  /** Of what is optional, nullable or has a default. */
  innerType?: z.core.$ZodType;
  /** Of a pipe, such as a transform. */
  in?: z.core.$ZodType;
  options?: z.core.$ZodType[];
  shape?: Record<string, z.core.$ZodType>;
  element?: z.core.$ZodType;
}

interface Shapes {
  objects: Record<string, z.core.$ZodType>[];
  elements: z.core.$ZodType[];
}

/** @returns undefined where nothing within can be taken out */
function compile(schemas: readonly z.core.$ZodType[]): WithoutNulls | undefined {
  const { objects, elements } = shapesOf(schemas);
  const names = new Set(objects.flatMap((shape) => Object.keys(shape)));
  const droppable = new Set([...names].filter((name) => maybeAbsent(objects, name)));
  const within = new Map<string, WithoutNulls>();
  for (const name of names) {
    const strip = compile(objects.flatMap(({ [name]: member }) => (member ? [member] : [])));
    if (strip) within.set(name, strip);
  }
  const inElements = elements.length > 0 ? compile(elements) : undefined;
  if (droppable.size === 0 && within.size === 0 && !inElements) return undefined;
  return (received) => {
    if (typeof received !== 'object' || received === null) return received;
    if (Array.isArray(received)) {
      if (inElements) for (const each of received) inElements(each);
      return received;
    }
    const members = received as Record<string, unknown>;
    for (const name of Object.keys(members)) {
      if (members[name] !== null) within.get(name)?.(members[name]);
      else if (droppable.has(name)) delete members[name];
    }
    return received;
  };
}

/** Of what may have several forms, one of them is enough: beside `raw` there is no `from`. */
function maybeAbsent(objects: Shapes['objects'], name: string): boolean {
  const members = objects.map(({ [name]: member }) => member);
  return (
    !members.some((member) => member && takesNull(member)) && members.some((member) => !member || isOptional(member))
  );
}

function isOptional({ _zod: { def } }: z.core.$ZodType): boolean {
  return def.type === 'optional' || def.type === 'default';
}

function takesNull(schema: z.core.$ZodType): boolean {
  const { type } = schema._zod.def;
  if (type === 'nullable' || type === 'unknown' || type === 'any') return true;
  const inner = innerOf(schema);
  return inner !== undefined && takesNull(inner);
}

/** The objects and the lists that a value may be, whatever is wrapped around their schemas. */
function shapesOf(schemas: readonly z.core.$ZodType[]): Shapes {
  const shapes: Shapes = { objects: [], elements: [] };
  const look = (schema: z.core.$ZodType): void => {
    const inner = innerOf(schema);
    const { options, shape, element } = schema._zod.def as Def;
    if (inner) look(inner);
    else if (options) for (const each of options) look(each);
    else if (shape) shapes.objects.push(shape);
    else if (element) shapes.elements.push(element);
  };
  for (const schema of schemas) look(schema);
  return shapes;
}

function innerOf({ _zod: { def } }: z.core.$ZodType): z.core.$ZodType | undefined {
  const { innerType, in: given } = def as Def;
  return innerType ?? given;
}
