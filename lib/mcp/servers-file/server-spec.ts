import { digestOf } from '../../digest.ts'
import { type JsonObject, mapValues } from '../../json.ts'
import type { HttpEndpoint } from '../transports/http-transport.ts'
import type { ProcessUser } from '../transports/process-user.ts'
import type { StdioCommand } from '../transports/stdio.ts'
import type { TransportKind } from '../transports/transport-kinds.ts'
import type { Template } from './template.ts'
import type { ToolFilter } from './tool-filter.ts'
import { policyContent, type ServerPolicy } from './value-policy.ts'

export interface CommonSpec extends ToolFilter {
  readonly name: string
  /** A SHA-256 of the spec, templates included: the same in every process, and no secret can be read from it. */
  readonly identity: string
  /** Stands before `__` in the names of its tools when there are several servers; '' leaves its names as they are. */
  readonly prefix: string
  /** Deadlines of this server (ms); an absent one is the service's own. */
  readonly timeouts: { readonly startMs?: number, readonly listMs?: number, readonly callMs?: number }
  /** The server gets the caller's `baggage`. */
  readonly baggage?: true
  /** Its operator says that it keeps state between calls. */
  readonly stateful?: true
  /** What happens to a session's values and credentials at this server. */
  readonly policy: ServerPolicy
}

/** A server that is started as a process. Only templates hold what its operator wrote, secrets included. */
export interface StdioSpec extends CommonSpec {
  readonly kind: 'stdio'
  /** Absolute path of the executable. */
  readonly command: string
  readonly args: readonly Template[]
  /** The child's whole environment. */
  readonly env: Readonly<Record<string, Template>>
  readonly cwd: string
  /** Absent: the service's own. */
  readonly user?: ProcessUser
  /** `request`: a fresh process for each request. `shared`: one process a worker, which serves all requests. */
  readonly lifecycle: 'request' | 'shared'
  /** How many processes a worker starts ahead of demand; absent: the service's own number. */
  readonly warmSpares?: number
}

/** A server that is reached over HTTP. */
export interface HttpSpec extends CommonSpec {
  readonly kind: TransportKind
  readonly url: Template
  /** The url as it was written, without its query: for people. Holds no value of a placeholder. */
  readonly label: string
  readonly headers: Readonly<Record<string, Template>>
  /** `kept`: one MCP session of the server for each of our sessions. `request`: one for each request. */
  readonly session: 'kept' | 'request'
}

/** How to reach one MCP server. */
export type ServerSpec = StdioSpec | HttpSpec

type Unidentified = Omit<StdioSpec, 'identity'> | Omit<HttpSpec, 'identity'>
type PolicyFree = Omit<StdioSpec, 'identity' | 'policy'> | Omit<HttpSpec, 'identity' | 'policy'>

/** The identity of a spec that is complete but for it. */
export function identityOf (spec: Unidentified): string {
  const contentOf = (template: Template) => template.content()
  const policy = policyContent(spec.policy)
  return digestOf(spec.kind === 'stdio'
    ? { ...spec, policy, args: spec.args.map(contentOf), env: mapValues(spec.env, contentOf) }
    : { ...spec, policy, url: contentOf(spec.url), headers: mapValues(spec.headers, contentOf) })
}

/** Credentials that the server cannot be reached without; none: it is the same for every session. */
export function credentialNames (spec: PolicyFree): readonly string[] {
  const templates = spec.kind === 'stdio'
    ? [...spec.args, ...Object.values(spec.env)]
    : [spec.url, ...Object.values(spec.headers)]
  return [...new Set(templates.flatMap(({ sessionNames }) => sessionNames))]
}

/** The command of a server for one session. Throws MissingCredentialError. */
export function fillCommand (spec: StdioSpec, credentials: JsonObject): StdioCommand {
  const { name, command, args, env, cwd, user } = spec
  const filled = fillAll(env, credentials)
  const soundingSecret = Object.keys(filled).filter(variable => soundsSecret.test(variable))
  const secrets = [
    ...[...args, ...Object.values(env)].flatMap(template => template.operatorValues()),
    ...soundingSecret.map(variable => filled[variable] ?? '')
  ]
  const filledArgs = args.map(arg => arg.fill(credentials))
  return { name, command, args: filledArgs, env: filled, cwd, ...(user && { user }), secrets }
}

/** Shorter words of an operator's may be a region or a mode, and no secret. */
const minOperatorSecretLength = 8

/** What its operator has written into an entry and means to be secret, as far as that can be told. */
export function operatorSecrets (spec: ServerSpec): string[] {
  const named = spec.kind === 'stdio'
    ? Object.entries(spec.env).flatMap(([name, template]) => soundsSecret.test(name) ? [template] : [])
    : Object.values(spec.headers)
  const all = spec.kind === 'stdio' ? [...spec.args, ...Object.values(spec.env)] : [spec.url, ...named]
  const constant = named.filter(({ sessionNames }) => sessionNames.length === 0)
  return [
    ...all.flatMap(template => template.operatorValues()),
    ...constant.flatMap(template => withoutScheme(template.fill({})))
  ].filter(secret => secret.length >= minOperatorSecretLength)
}

/** The value of a header as it is, and behind its scheme. */
const withoutScheme = (value: string) => [value, value.slice(value.indexOf(' ') + 1)]

/** A variable of such a name is taken for a secret, also where the file has its value as plain text. */
const soundsSecret = /key|token|secret|passw|credential|auth/i

/** The address of a server for one session. Throws MissingCredentialError. */
export function fillEndpoint ({ name, url, headers }: HttpSpec, credentials: JsonObject): HttpEndpoint {
  const filled = { name, url: url.fill(credentials), headers: fillAll(headers, credentials) }
  const operatorValues = [url, ...Object.values(headers)].flatMap(template => template.operatorValues())
  return { ...filled, secrets: [...operatorValues, ...secretsIn(filled)] }
}

/** Shorter values of a query are settings. */
const minQuerySecretLength = 8

/**
 * The values of headers, with and without their scheme, and the values of the query, decoded and as they are sent. Each
 * may be a secret.
 */
function secretsIn ({ url, headers }: Pick<HttpEndpoint, 'url' | 'headers'>): string[] {
  const { search, searchParams } = new URL(url)
  const sent = search.slice(1).split('&').map(pair => pair.slice(pair.indexOf('=') + 1))
  return [
    ...Object.values(headers).flatMap(withoutScheme),
    ...[...sent, ...searchParams.values()].filter(value => value.length >= minQuerySecretLength)
  ]
}

function fillAll (templates: Readonly<Record<string, Template>>, credentials: JsonObject): Record<string, string> {
  return mapValues(templates, template => template.fill(credentials))
}
