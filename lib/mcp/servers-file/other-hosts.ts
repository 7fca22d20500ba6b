import { isJsonObject, type JsonObject } from '../../json.ts'
import { entryError } from './entry-error.ts'
import { judgeMember } from './unknown-members.ts'

/** Something of the file that is not used, and why. It holds no value of the file that could be a secret. */
export interface MemberNote {
  /** Where in the entry, or in the file. */
  member: string
  why: string
  /** Its operator may have to write something: it is told as a warning. */
  matters?: true
}

export interface TranslatedEntry {
  /** The entry in our words. */
  entry: JsonObject
  notes: MemberNote[]
  /** Fields of ours by what the operator has written for them. */
  writtenAs: ReadonlyMap<string, string>
}

/** Other names of fields, with the same meaning. */
const aliases: ReadonlyArray<readonly [theirs: string, ours: string]> = [
  ['serverUrl', 'url'], ['httpUrl', 'url'], ['transport', 'type']
]
const switches = ['enabled', 'isEnabled', 'isActive', 'active'] as const
const toolLists = ['disabledTools'] as const
const knownElsewhere = [...aliases.map(([theirs]) => theirs), ...switches, ...toolLists, 'type']

/** Spellings of `type` and `transport`, without what joins words. `local` is that of GitHub Copilot. */
const kindsBySpelling = new Map([
  ['stdio', 'stdio'], ['local', 'stdio'], ['http', 'http'], ['streamablehttp', 'http'], ['sse', 'sse']
])

/** Whether an entry is switched off, by `disabled` or by what others have for it. Throws EntryError. */
export function isSwitchedOff (server: string, entry: JsonObject): boolean {
  if (entry.disabled !== undefined && typeof entry.disabled !== 'boolean') {
    throw entryError(server, 'disabled', 'must be true or false')
  }
  const off = switches.find(name => entry[name] === false)
  const odd = switches.find(name => entry[name] !== undefined && typeof entry[name] !== 'boolean')
  if (odd !== undefined) throw entryError(server, odd, 'must be true or false')
  return entry.disabled === true || off !== undefined
}

/**
 * An entry as other hosts write it, in our words. `ours` are the fields that this service has, and `textAt` gives a
 * member as it was written. Does not modify its input.
 *
 * Throws EntryError where the entry contradicts itself, and for a member that may not be passed over.
 */
export function translateEntry (
  server: string, entry: JsonObject, { ours, textAt }: {
    ours: readonly string[], textAt: (path: readonly string[]) => string
  }
): TranslatedEntry {
  const translated = { ...entry }
  const writtenAs = new Map<string, string>()
  for (const name of switches) delete translated[name]
  takeType(server, translated, writtenAs)
  takeUrls(server, translated, writtenAs)
  takeTools(server, translated, writtenAs)
  takeEnv(translated, textAt)
  const notes = [...judgeOthers(server, translated, ours), ...textsOfOtherHosts(translated)]
  return { entry: translated, notes, writtenAs }
}

const kindOf = (spelling: unknown) =>
  typeof spelling === 'string' ? kindsBySpelling.get(spelling.toLowerCase().replace(/[-_ ]/g, '')) : undefined

function takeType (server: string, entry: JsonObject, writtenAs: Map<string, string>): void {
  const { type, transport } = entry
  delete entry.transport
  if (type !== undefined && transport !== undefined && (kindOf(type) ?? type) !== (kindOf(transport) ?? transport)) {
    throw entryError(server, 'transport', 'says something else than type: keep the one that is meant')
  }
  const said = type ?? transport
  if (type === undefined && transport !== undefined) writtenAs.set('type', 'transport')
  if (said !== undefined) entry.type = kindOf(said) ?? said
}

function takeUrls (server: string, entry: JsonObject, writtenAs: Map<string, string>): void {
  for (const name of ['serverUrl', 'httpUrl'] as const) {
    const url = entry[name]
    if (url === undefined) continue
    if (entry.url !== undefined && entry.url !== url) {
      const other = writtenAs.get('url') ?? 'url'
      throw entryError(server, name, `says something else than ${other}: keep the one that is meant`)
    }
    if (name === 'httpUrl') {
      if (entry.type !== undefined && entry.type !== 'http') {
        throw entryError(server, name, 'is for a server of type "http", and this one says another type')
      }
      entry.type = 'http'
    }
    if (entry.url === undefined) writtenAs.set('url', name)
    entry.url = url
    delete entry[name]
  }
}

/** Tools that are switched off are excluded ones; an array `tools` names those that are on. */
function takeTools (server: string, entry: JsonObject, writtenAs: Map<string, string>): void {
  const { disabledTools, tools } = entry
  if (disabledTools !== undefined) {
    const excluded = entry.excludeTools ?? []
    if (!isTextList(disabledTools)) throw entryError(server, 'disabledTools', 'must be an array of non-empty strings')
    delete entry.disabledTools
    entry.excludeTools = Array.isArray(excluded) ? [...excluded, ...disabledTools] : excluded
  }
  if (!Array.isArray(tools)) return
  if (!isTextList(tools)) {
    throw entryError(server, 'tools', 'must be an object with an object for each tool, or an array of names')
  }
  if (entry.includeTools !== undefined) {
    const rule = 'names the only tools that are offered, as includeTools does: keep the one that is meant'
    throw entryError(server, 'tools', rule)
  }
  delete entry.tools
  entry.includeTools = tools
  writtenAs.set('includeTools', 'tools')
}

const isTextList = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every(item => typeof item === 'string' && item !== '')

/** Variables are texts; a number or a word of JSON is one as it is written. */
function takeEnv (entry: JsonObject, textAt: (path: readonly string[]) => string): void {
  if (!isJsonObject(entry.env)) return
  entry.env = Object.fromEntries(Object.entries(entry.env).map(([name, value]) =>
    [name, ['number', 'boolean'].includes(typeof value) ? textAt(['env', name]) : value]))
}

function judgeOthers (server: string, entry: JsonObject, ours: readonly string[]): MemberNote[] {
  const notes: MemberNote[] = []
  for (const [member, value] of Object.entries(entry)) {
    if (ours.includes(member)) continue
    const judgement = judgeMember(member, value, [...ours, ...knownElsewhere])
    if (judgement.kind === 'fault') throw entryError(server, shown(member), judgement.rule)
    const { why, matters } = judgement
    notes.push({ member: shown(member), why, ...(matters && { matters }) })
    delete entry[member]
  }
  return notes
}

/** A name for a sentence: one line, and not longer than names are. */
const shown = (member: string) => /^[\w$./-]{1,64}$/.test(member) ? member : JSON.stringify(member.slice(0, 64))

/** A text that is one variable, as Gemini CLI (`$NAME`) and Windows (`%NAME%`) write it: here it stands for itself. */
const otherVariable = /^(Bearer )?(\$[A-Z_][A-Z0-9_]*|%[A-Z_][A-Z0-9_]*%)([/\\].*)?$/

function textsOfOtherHosts (entry: JsonObject): MemberNote[] {
  const texts = [
    ...Object.entries(entry).filter(([name]) => ['command', 'cwd', 'url', 'envFile'].includes(name)),
    ...['args', 'env', 'headers'].flatMap(field => Object.entries(Object(entry[field]) as JsonObject)
      .map(([name, value]) => [field === 'args' ? `args[${name}]` : `${field}.${name}`, value] as const))
  ]
  return texts.filter(([, text]) => typeof text === 'string' && otherVariable.test(text)).map(([member]) => ({
    member,
    // eslint-disable-next-line no-template-curly-in-string -- a placeholder of the servers file
    why: 'it looks like a variable, and is taken as it is written; write ${env.NAME} for a variable',
    matters: true
  }))
}
