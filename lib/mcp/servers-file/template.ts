import { digestOf } from '../../digest.ts'
import { MissingCredentialError } from '../../errors.ts'
import type { JsonObject } from '../../json.ts'
import { entryError } from './entry-error.ts'
import type { HostEnvironment } from './server-spec.ts'

/**
 * A text of the servers file in which `${session.NAME}` stands for a credential of the session; `${env.NAME}` is the
 * operator's own and is filled when the file is read.
 *
 * What it says is in no property, so that a template that ends up in a log or an answer tells nothing.
 */
export interface Template {
  /** Credentials that it needs. */
  readonly sessionNames: readonly string[]
  /** The operator's own values in it, those of `${env.NAME}`: for masks. */
  readonly operatorValues: () => readonly string[]
  /** A hash of what it says: the same for the same text, by which a changed file is known. */
  readonly fingerprint: string
  /**
   * Throws MissingCredentialError that names the credential when the session lacks one, or has it with characters that
   * cannot be used there.
   */
  readonly fill: (credentials: JsonObject) => string
}

export interface TemplateOptions {
  /** Entry of the servers file, and field of the entry: for sentences. */
  server: string
  field: string
  /** Fields of a session that are credentials; no others can be used. */
  sensitiveParams: readonly string[]
  /** Where the text goes: to a process, whose arguments and variables take all but NUL, or into a header, which takes less. */
  use?: 'process' | 'header'
}

/** What cannot be there. A header's characters are those that Node's HTTP clients send; half a character cannot be encoded. */
const unusable = {
  process: { characters: /\0/, rule: 'must not hold a NUL character' },
  header: { characters: /[^\t\x20-\x7e\x80-\xff]/, rule: 'must not hold characters that cannot be sent in a header' },
  url: { characters: /\p{Cs}/u, rule: 'must not hold half a character' }
}

/** `value` is what a variable has, before it is encoded for where it goes. */
type Part = { text: string, variable?: string, value?: string } | { credential: string }

/** A text that stands for itself, `${` included. */
export const literal = (text: string): Template => ({ sessionNames: [], operatorValues: () => [], fingerprint: fingerprintOf([{ text }]), fill: () => text })

const fingerprintOf = (parts: readonly Part[]) => digestOf(parts)

/** `$${` in the text is a literal `${`. Throws ConfigError that names entry and field, and never a value. */
export function parseTemplate (text: string, host: HostEnvironment, options: TemplateOptions): Template {
  return createTemplate(readParts(text, host, options), { ...options, use: options.use ?? 'process', encode: value => value })
}

/**
 * The same for a URL. Credentials may only be values of its query, where they are percent-encoded: nothing that a caller
 * brings to /init may choose the server, or a part of it, that others' credentials are sent to. So is `${env.NAME}` there;
 * elsewhere it is part of the URL as it is. Does not check whether it is a URL.
 */
export function parseUrlTemplate (text: string, host: HostEnvironment, options: Omit<TemplateOptions, 'use'>): Template {
  let before = ''
  const parts = readParts(text, host, options).map((part): Part => {
    const isValue = endsInQueryValue(before)
    if ('credential' in part) {
      if (!isValue) throw entryError(options.server, options.field, `may hold \${session.${part.credential}} only as a value of its query, behind ? and =`)
      return part
    }
    const written = isValue && part.variable !== undefined ? encodeURIComponent(part.text) : part.text
    before += written
    return { text: written }
  })
  return createTemplate(parts, { ...options, use: 'url', encode: encodeURIComponent })
}

/** Whether what comes next belongs to a value of the query. */
function endsInQueryValue (before: string): boolean {
  const query = /^[^?#]*\?([^#]*)$/.exec(before)?.[1]
  return query?.split('&').at(-1)?.includes('=') ?? false
}

const placeholder = /\$\$\{|\$\{(?<kind>session|env)\.(?<name>[^\s{}]+)\}|\$\{/g

function readParts (text: string, host: HostEnvironment, { server, field, sensitiveParams }: TemplateOptions): Part[] {
  const parts: Part[] = []
  let end = 0
  for (const { 0: found, index, groups } of text.matchAll(placeholder)) {
    parts.push({ text: text.slice(end, index) })
    end = index + found.length
    const name = groups?.name
    if (found === '$${') {
      parts.push({ text: '${' })
    } else if (name === undefined) {
      // What stands there is not repeated: a password may hold ${, too.
      // eslint-disable-next-line no-template-curly-in-string -- these are the file's own
      throw entryError(server, field, 'holds a ${ that is neither ${session.NAME} nor ${env.NAME}; write $${ for one that is meant as it is')
    } else if (groups?.kind === 'env') {
      const value = host[name]
      if (!value) throw entryError(server, field, `needs the variable ${name}, which is not set`)
      parts.push({ text: value, variable: name, value })
    } else {
      if (!sensitiveParams.includes(name)) throw entryError(server, field, `needs the credential ${name}, which is not among MCP_SENSITIVE_PARAMS`)
      parts.push({ credential: name })
    }
  }
  return [...parts, { text: text.slice(end) }]
}

interface FillOptions extends Pick<TemplateOptions, 'server' | 'field'> {
  use: keyof typeof unusable
  encode: (value: string) => string
}

function createTemplate (parts: readonly Part[], { server, field, use, encode }: FillOptions): Template {
  const { characters, rule } = unusable[use]
  if (parts.some(part => 'text' in part && characters.test(part.text))) throw entryError(server, field, rule)

  function valueOf (credential: string, credentials: JsonObject): string {
    const value = Object.hasOwn(credentials, credential) ? credentials[credential] : null
    if (value === null || value === undefined) throw new MissingCredentialError(server, credential, '')
    if (typeof value === 'object') throw new MissingCredentialError(server, credential, ' as text')
    const text = String(value)
    if (characters.test(text)) throw new MissingCredentialError(server, credential, ' in a form that can be used there')
    return encode(text)
  }

  return {
    fingerprint: fingerprintOf(parts),
    operatorValues: () => parts.flatMap(part => 'text' in part && part.value !== undefined ? [part.value, part.text] : []),
    sessionNames: [...new Set(parts.flatMap(part => 'credential' in part ? [part.credential] : []))],
    fill: credentials => parts.map(part => 'text' in part ? part.text : valueOf(part.credential, credentials)).join('')
  }
}
