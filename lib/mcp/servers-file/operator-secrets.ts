import type { Template } from './template.ts'

/*
 * What the operator has written into an entry and means to be secret, as far as that can be told: by a name beside it,
 * by the place that it has, or by its form. A word too much costs a failure some of its words; one too few shows it.
 */

/** A variable, an option or a field of such a name is taken for a secret's, also where its value is plain text. */
const sounding = 'key|token|secret|passw|passphrase|pwd|credential|auth'
export const soundsSecret = new RegExp(sounding, 'i')

/**
 * A name and its value: `--api-key=…`, `TOKEN=…`, `Authorization: Bearer …`, `"apiKey": "…"`, `?key=…&`. It is bounded,
 * so that no text takes long.
 */
const pair = new RegExp(
  `(?:${sounding})[\\w.-]{0,64}["']?\\s{0,8}(?:=|:(?!//))\\s{0,8}` +
  '(?:"([^"]+)"|\'([^\']+)\'|((?:(?:bearer|basic|token|digest|apikey)\\s{1,8})?[^\\s"\',;&|(){}\\[\\]]+))', 'gi'
)
/** The password in an address: `postgres://user:…@host`. */
const password = /:\/\/[^\s/?#:@]{0,256}:([^\s/?#]{1,512})@/g
/** Keys of well-known services, which begin with who gave them, and JSON web tokens. */
const wellKnown = new RegExp([
  /\b(?:sk|pk|rk|gh[opsur]|github_pat|glpat|xox[a-z]|xapp|npm|hf|ntn|secret|lin_api|figd|dop_v1|shpat|pat)[-_][\w-]{16,}/,
  /\b(?:AIza|AKIA|ASIA)[\w-]{12,}/,
  /\beyJ[\w-]{8,1000}\.[\w-]+\.[\w-]*/
].map(({ source }) => source).join('|'), 'g')

/** Options that are about a secret and have none. */
const hasNoValue = /^-+(no|disable|enable|skip|use|allow|require|with(out)?)-/i
const isPath = /^(\.{0,2}|~)\//

/** Shorter words may be a region or a mode, and no secret. */
const minSecretLength = 8

type Templates = Readonly<Record<string, Template>>

/** What an operator writes into an entry: that of a process, or that of a server with a URL. */
type Written =
  | { readonly args: readonly Template[], readonly env: Templates }
  | { readonly url: Template, readonly headers: Templates }

/** The secrets of a server's entry. Values of placeholders for credentials of a session are none of them. */
export function operatorSecrets (spec: Written): string[] {
  const templates = 'args' in spec
    ? [...spec.args, ...Object.values(spec.env)]
    : [spec.url, ...Object.values(spec.headers)]
  const found = [
    ...templates.flatMap(template => template.operatorValues()),
    ...templates.flatMap(template => secretsInText(template.operatorText())),
    ...'args' in spec
      ? [...secretsOfVariables(spec.env), ...secretsInWords(spec.args.map(arg => arg.operatorText()))]
      : [...Object.values(spec.headers).flatMap(header => withoutScheme(header.operatorText())),
          ...secretsInQuery(spec.url.operatorText())]
  ]
  return [...new Set(found)].filter(secret => secret.length >= minSecretLength)
}

const secretsOfVariables = (env: Templates) => Object.entries(env)
  .flatMap(([name, template]) => soundsSecret.test(name) ? withoutScheme(template.operatorText()) : [])

/** The values of a query, decoded and as they are sent. */
export function secretsInQuery (url: string): string[] {
  if (!URL.canParse(url)) return []
  const { search, searchParams } = new URL(url)
  const sent = search.slice(1).split('&').map(pair => pair.slice(pair.indexOf('=') + 1))
  return [...sent, ...searchParams.values()].filter(value => value.length >= minSecretLength)
}

/** The value of a header as it is, and behind its scheme. */
export const withoutScheme = (value: string) => [value, value.slice(value.indexOf(' ') + 1)]

function secretsInText (text: string): string[] {
  return [
    ...[...text.matchAll(pair)].flatMap(([, double, single, plain]) => valuesOf(double ?? single ?? plain ?? '')),
    ...[...text.matchAll(password)].flatMap(([, written = '']) => [written, decoded(written)]),
    ...[...text.matchAll(wellKnown)].map(([found]) => found)
  ]
}

/** The word behind an option that sounds secret, also where an argument is a command of a shell. */
function secretsInWords (args: readonly string[]): string[] {
  const words = args.flatMap(arg => /\s/.test(arg) ? [arg, ...arg.split(/\s+/).map(unquoted), ''] : [arg])
  return words.flatMap((word, index) => {
    const next = words[index + 1] ?? ''
    const isOption = /^-+[a-z][\w.-]*$/i.test(word) && soundsSecret.test(word) && !hasNoValue.test(word)
    return isOption && !next.startsWith('-') ? valuesOf(next) : []
  })
}

const valuesOf = (value: string) => isPath.test(value) ? [] : withoutScheme(value)
const unquoted = (word: string) => word.replace(/^(["'])(.*)\1$/, '$2')

function decoded (written: string): string {
  try {
    return decodeURIComponent(written)
  } catch {
    return written // it is no encoding, and is sent as it is
  }
}
