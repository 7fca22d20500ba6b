import { MissingCredentialError } from '../../errors.ts'
import type { JsonObject } from '../../json.ts'
import { entryError } from './entry-error.ts'
import type { HostEnvironment } from './host-environment.ts'
import { type Part, type PlaceholderOptions, readParts } from './placeholders.ts'

/**
 * A text of the servers file with placeholders: `${session.NAME}` stands for a credential of the session, `${env.NAME}`
 * (also `${NAME}` and `${env:NAME}`) for a variable of the service, or for what is in the file that `NAME_FILE` names.
 * Variables are filled in when the servers file is read, credentials for each request.
 *
 * Only functions give away the text, so that a template that ends up in a log or an answer shows nothing.
 */
export interface Template {
  /** Credentials that it needs. */
  readonly sessionNames: readonly string[]
  /** The values of its variables, which masks must hide. */
  readonly operatorValues: () => readonly string[]
  /** The text that the operator wrote, without the places of credentials. Secret. */
  readonly operatorText: () => string
  /** The text with its variables filled in, as JSON. Secret: only a hash of it may leave. */
  readonly content: () => unknown
  /**
   * The text for one session. Throws MissingCredentialError that names the credential when the session lacks it, or
   * has it with characters that cannot be used there.
   */
  readonly fill: (credentials: JsonObject) => string
}

export interface TemplateOptions extends PlaceholderOptions {
  /** Where the text goes. An argument or a variable of a process takes all but NUL; a header takes less; JSON all. */
  use?: 'argument' | 'process' | 'header' | 'json'
}

/**
 * Characters that cannot be used, by where the text goes. Node's HTTP clients send a header's other characters. A URL
 * cannot encode half a surrogate pair.
 */
const unusable = {
  argument: { characters: /\0/, rule: 'must not hold a NUL character' },
  process: { characters: /\0/, rule: 'must not hold a NUL character' },
  header: { characters: /[^\t\x20-\x7e\x80-\xff]/, rule: 'must not hold characters that cannot be sent in a header' },
  url: { characters: /\p{Cs}/u, rule: 'must not hold half a character' },
  json: { characters: /(?!)/, rule: '' }
}

/** A text that stands for itself, `${` included. */
export const literal = (text: string): Template => ({
  sessionNames: [],
  operatorValues: () => [],
  operatorText: () => text,
  content: () => [{ text }],
  fill: () => text
})

/** The same, for a text that masks must hide. */
export const secretLiteral = (text: string): Template => ({ ...literal(text), operatorValues: () => [text] })

/** `$${` in the text is a literal `${`. Throws ConfigError that names entry and field, and never a value. */
export function parseTemplate (text: string, host: HostEnvironment, options: TemplateOptions): Template {
  const parts = readParts(text, host, options)
  return createTemplate(parts, { ...options, use: options.use ?? 'process', encode: value => value })
}

/**
 * The same for a URL.
 *
 * Credentials may only be values of its query, where they are percent-encoded. A caller of /init must never choose
 * the server that others' credentials are sent to, nor a part of its address. A `${env.NAME}` is encoded there, too;
 * elsewhere it is part of the URL as it is. Does not check that the text is a URL.
 */
export function parseUrlTemplate (
  text: string, host: HostEnvironment, options: Omit<TemplateOptions, 'use'>
): Template {
  let before = ''
  const parts = readParts(text, host, options).map((part): Part => {
    const isValue = endsInQueryValue(before)
    if ('credential' in part) {
      if (isValue) return part
      const rule = `may hold \${session.${part.credential}} only as a value of its query, behind ? and =`
      throw entryError(options.server, options.field, rule)
    }
    const written = isValue && part.variable !== undefined ? encodeURIComponent(part.text) : part.text
    before += written
    return { ...part, text: written }
  })
  return createTemplate(parts, { ...options, use: 'url', encode: encodeURIComponent })
}

/** Whether text that follows belongs to a value of the query. */
function endsInQueryValue (before: string): boolean {
  const query = /^[^?#]*\?([^#]*)$/.exec(before)?.[1]
  return query?.split('&').at(-1)?.includes('=') ?? false
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

  /**
   * A credential must not become an option of the command, which may do anything: `-e`, `--config=…`. The operator's
   * own text before it, like `--tenant=`, says what it is.
   */
  function checkArgument (text: string): void {
    const [first] = parts.filter(part => !('text' in part) || part.text !== '')
    if (use !== 'argument' || !text.startsWith('-') || first === undefined || 'text' in first) return
    throw new MissingCredentialError(server, first.credential, ' in a form that can be used there')
  }

  return {
    sessionNames: [...new Set(parts.flatMap(part => 'credential' in part ? [part.credential] : []))],
    operatorValues: () =>
      parts.flatMap(part => 'text' in part && part.value !== undefined ? [part.value, part.text] : []),
    operatorText: () => parts.map(part => 'text' in part ? part.text : '').join(''),
    content: () => parts,
    fill (credentials) {
      const text = parts.map(part => 'text' in part ? part.text : valueOf(part.credential, credentials)).join('')
      checkArgument(text)
      return text
    }
  }
}
