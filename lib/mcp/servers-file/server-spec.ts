import { digestOf } from '../../digest.ts'
import { type JsonObject, mapValues } from '../../json.ts'
import type { HttpEndpoint } from '../transports/http-transport.ts'
import type { ProcessUser } from '../transports/process-user.ts'
import type { StdioCommand } from '../transports/stdio.ts'
import type { TransportKind } from '../transports/transport-kinds.ts'
import { operatorSecrets, secretsInQuery, soundsSecret, withoutScheme } from './operator-secrets.ts'
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
  readonly timeouts: {
    readonly startMs?: number
    readonly listMs?: number
    readonly callMs?: number
    /** 0 for no bound but `callMs`. */
    readonly inactivityMs?: number
  }
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

/** A server that is not run, because its entry has a fault. It keeps its name and its prefix from other servers. */
export interface FaultySpec extends CommonSpec {
  readonly kind: 'faulty'
  /** The field and the rule that it breaks. For operators: it may name paths and variables, and no secret. */
  readonly reason: string
}

/** How to reach one MCP server. */
export type RunnableSpec = StdioSpec | HttpSpec
export type ServerSpec = RunnableSpec | FaultySpec

type Without<Spec, Key extends keyof CommonSpec> = Spec extends unknown ? Omit<Spec, Key> : never
type Unidentified = Without<ServerSpec, 'identity'>
type PolicyFree = Without<ServerSpec, 'identity' | 'policy'>

/** The identity of a spec that is complete but for it. */
export function identityOf (spec: Unidentified): string {
  const contentOf = (template: Template) => template.content()
  const policy = policyContent(spec.policy)
  if (spec.kind === 'faulty') return digestOf({ ...spec, policy })
  return digestOf(spec.kind === 'stdio'
    ? { ...spec, policy, args: spec.args.map(contentOf), env: mapValues(spec.env, contentOf) }
    : { ...spec, policy, url: contentOf(spec.url), headers: mapValues(spec.headers, contentOf) })
}

/** Credentials that the server cannot be reached without; none: it is the same for every session. */
export function credentialNames (spec: PolicyFree): readonly string[] {
  if (spec.kind === 'faulty') return []
  const templates = spec.kind === 'stdio'
    ? [...spec.args, ...Object.values(spec.env)]
    : [spec.url, ...Object.values(spec.headers)]
  return [...new Set(templates.flatMap(({ sessionNames }) => sessionNames))]
}

/** The command of a server for one session. Throws MissingCredentialError. */
export function fillCommand (spec: StdioSpec, credentials: JsonObject): StdioCommand {
  const { name, command, args, env, cwd, user } = spec
  const filled = fillAll(env, credentials)
  const secrets = new Set([
    ...[...args, ...Object.values(env)].flatMap(template => template.operatorValues()),
    ...Object.entries(filled).flatMap(([variable, value]) => soundsSecret.test(variable) ? [value] : []),
    ...operatorSecrets(spec)
  ])
  const filledArgs = args.map(arg => arg.fill(credentials))
  return { name, command, args: filledArgs, env: filled, cwd, ...(user && { user }), secrets: [...secrets] }
}

/** The address of a server for one session. Throws MissingCredentialError. */
export function fillEndpoint (spec: HttpSpec, credentials: JsonObject): HttpEndpoint {
  const { name, url, headers } = spec
  const filled = { name, url: url.fill(credentials), headers: fillAll(headers, credentials) }
  const secrets = new Set([
    ...[url, ...Object.values(headers)].flatMap(template => template.operatorValues()),
    ...Object.values(filled.headers).flatMap(withoutScheme),
    ...secretsInQuery(filled.url),
    ...operatorSecrets(spec)
  ])
  return { ...filled, secrets: [...secrets] }
}

function fillAll (templates: Readonly<Record<string, Template>>, credentials: JsonObject): Record<string, string> {
  return mapValues(templates, template => template.fill(credentials))
}
