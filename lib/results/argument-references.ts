import { StringDecoder } from 'node:string_decoder'
import { BodyTooDeepError, InvalidFieldError, ResultPartError, UnknownResultError } from '../errors.ts'
import { isNestedDeeper } from '../json.ts'
import {
  applyEdits, type JsonDocument, type JsonEdit, type JsonNode, type JsonValue, memberOf, objectText, readJson,
  stringMember, textOf
} from '../json-text.ts'
import { isReference } from './result.ts'
import type { StoredResult } from './result-store.ts'
import { select } from './selection.ts'

/** An argument that stands for a result, as its caller may know it. */
export interface ReferredArgument {
  name: string
  ref: string
  pointer: string | null
  /** The reference as the caller wrote it. */
  sent: string
  /** Length of what the tool gets (bytes). */
  bytes: number
}

export interface ResolvedArguments {
  /** The arguments with each reference replaced by what it stands for. */
  params: JsonValue
  referred: readonly ReferredArgument[]
}

export interface ResolveOptions {
  /** Gives `null` for a reference that the session does not have. */
  open: (ref: string) => Promise<StoredResult | null>
  /** How much all references of a call may stand for (bytes). */
  maxBytes: number
  maxJsonDepth: number
  /** Where the arguments are in the request, for the sentence of a failure: `params.` or ``. */
  place: string
}

interface Reference { name: string, node: JsonNode, ref: string, pointer: string | undefined }

/**
 * Replaces each argument that is `{"$result": "r_…", "pointer": "/…"}` by the text that the result has there,
 * unaltered. Other places are not looked at: neither within an argument, nor in what the session or a tool gave.
 *
 * Rejects with UnknownResultError, ResultPartError or InvalidFieldError, each naming the argument.
 */
export async function resolveReferences (params: JsonValue, options: ResolveOptions): Promise<ResolvedArguments> {
  const references = referencesIn(params, options.place)
  if (references.length === 0) return { params, referred: [] }
  const edits: JsonEdit[] = []
  const referred: ReferredArgument[] = []
  let bytesLeft = options.maxBytes
  const { start, end } = params.node
  for (const { name, node, ref, pointer } of references) {
    const text = await textFor({ name, ref, pointer }, bytesLeft, options)
    const bytes = Buffer.byteLength(text)
    bytesLeft -= bytes
    edits.push({ start: node.start - start, end: node.end - start, text })
    referred.push({ name, ref, pointer: pointer ?? null, sent: textOf(params.document, node), bytes })
  }
  const text = applyEdits(params.document.text.slice(start, end), edits)
  if (isNestedDeeper(text, options.maxJsonDepth)) throw new BodyTooDeepError(options.maxJsonDepth)
  const document = readJson(text, 1) as JsonDocument // each part was checked when it was kept, or sent
  return { params: { document, node: document.root }, referred }
}

/** The caller's own arguments with the references as they were sent: for showing, since a result may be long. */
export function withReferences (own: string, referred: readonly ReferredArgument[]): string {
  const document = referred.length === 0 ? null : readJson(own, 1)
  if (document === null) return own
  const sent = new Map(referred.map(({ name, sent }) => [name, sent]))
  const members = document.root.members ?? []
  return objectText(members.map(({ name, value }) => [name, sent.get(name) ?? textOf(document, value)]))
}

/** Whether there can be a reference in the arguments: few calls have any. Its name may be written with escapes. */
export const mayRefer = ({ document, node }: JsonValue) => /\$result|\\u00/i.test(textOf(document, node))

function referencesIn ({ document, node }: JsonValue, place: string): Reference[] {
  return (node.members ?? []).flatMap(({ name, value }) => {
    if (value.type !== 'object') return []
    const argument = readJson(textOf(document, value), 1)
    const ref = argument && stringMember(argument, argument.root, '$result')
    if (argument === null || ref === null || !isReference(ref)) return []
    const where = `${place}${nameForSentence(name)}`
    const other = argument.root.members?.find(({ name }) => name !== '$result' && name !== 'pointer')
    if (other !== undefined) throw new InvalidFieldError(where, 'a reference with `$result` and `pointer` alone')
    const pointer = memberOf(argument.root, 'pointer') === null
      ? undefined
      : checkPointer(`${where}.pointer`, stringMember(argument, argument.root, 'pointer'))
    return [{ name, node: value, ref, pointer }]
  })
}

/** Longest pointer (characters). */
export const longestPointer = 4_096

/** A JSON Pointer. Throws InvalidFieldError, which names the field. */
export function checkPointer (field: string, pointer: string | null): string {
  if (pointer !== null && pointer.length <= longestPointer && /^(\/([^~]|~[01])*)?$/s.test(pointer)) return pointer
  throw new InvalidFieldError(field, `a JSON Pointer of at most ${longestPointer} characters, such as /rows/0`)
}

async function textFor (
  { name, ref, pointer }: Omit<Reference, 'node'>, bytesLeft: number, { open, maxBytes, place }: ResolveOptions
): Promise<string> {
  const where = `${place}${nameForSentence(name)}`
  const result = await open(ref)
  if (result === null) throw new UnknownResultError(` for ${where}`)
  if (pointer !== undefined && result.kind !== 'json') {
    throw new InvalidFieldError(`${where}.pointer`, 'absent: the result is no JSON')
  }
  // Pieces become text as they come: as bytes they would stay in memory beside it.
  const decoder = new StringDecoder(result.kind === 'binary' ? 'base64' : 'utf8')
  let text = ''
  try {
    let length = 0
    const { read } = await select(result, { pointer })
    for await (const piece of read()) {
      length += piece.length
      if (length > bytesLeft) {
        throw new InvalidFieldError(where, `shorter: references stand for at most ${maxBytes} bytes in one call`)
      }
      text += decoder.write(piece)
    }
  } catch (error) {
    if (error instanceof ResultPartError) throw new ResultPartError(`, for ${where}`)
    if (error instanceof UnknownResultError) throw new UnknownResultError(` for ${where}`)
    throw error
  }
  text += decoder.end()
  return result.kind === 'json' ? text : JSON.stringify(text)
}

/** A name is the caller's, and may be as long as a body. */
const nameForSentence = (name: string) => name.slice(0, 100)
