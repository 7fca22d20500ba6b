import { isJsonObject } from '../../json.ts'
import { nearestName, wordsOf } from './name-words.ts'

/** What is done about a member that this service does not have. */
export type Judgement =
  /** The entry is not run. The rule follows the member's name in a sentence. */
  | { kind: 'fault', rule: string }
  /** It is passed over, and its operator is told why. `matters`: they may have to write something. */
  | { kind: 'ignored', why: string, matters?: true }

/** Members of other hosts that say nothing which a server or its callers could miss. */
const harmless: ReadonlyMap<string, string> = new Map([
  ...['autoApprove', 'alwaysAllow', 'trust', 'autoApproveTools'].map(name =>
    [name, 'it says which tools a person need not approve: here nobody is asked, and it restricts nothing'] as const),
  ...[
    '$comment', '$schema', '_comment', '_meta', '//', 'comment', 'note', 'notes', 'title', 'label', 'name',
    'displayName', 'description', 'icon', 'icons', 'iconPath', 'iconUrl', 'logo', 'logoUrl', 'author', 'provider',
    'providerUrl', 'publisher', 'homepage', 'repository', 'documentation', 'documentationUrl', 'website', 'license',
    'version', 'category', 'categories', 'tags', 'keywords', 'gallery', 'registry', 'registryUrl', 'source',
    'metadata', 'dev', 'serverInstructions', 'installationSource', 'id', 'chatMenu', 'alwaysLoad', 'verbose', 'debug'
  ].map(name => [name, 'it is for people, or for another host'] as const)
])

/** What others call a field of ours. It is not taken for it, for its form or its meaning may differ. */
const otherNames: ReadonlyMap<string, string> = new Map(Object.entries({
  env: ['environment', 'environmentVariables', 'envVars', 'envs', 'variables'],
  envFile: ['envPath', 'envFiles', 'dotenv', 'dotenvPath'],
  args: ['arguments', 'argv', 'commandArgs', 'params'],
  command: ['cmd', 'executable', 'program', 'path', 'bin'],
  cwd: ['workingDirectory', 'workingDir', 'workDir', 'dir', 'directory'],
  url: ['uri', 'endpoint', 'baseUrl', 'sseUrl', 'address', 'href'],
  headers: [
    'header', 'httpHeaders', 'requestHeaders', 'customHeaders', 'requestInit', 'requestOptions', 'envHttpHeaders'
  ],
  includeTools: [
    'allowedTools', 'allowTools', 'enabledTools', 'includedTools', 'toolFilter', 'toolFilters', 'toolAllowlist',
    'toolWhitelist', 'allowlist', 'whitelist', 'toolConfiguration'
  ],
  excludeTools: [
    'excludedTools', 'deniedTools', 'denyTools', 'blockedTools', 'ignoredTools', 'hiddenTools', 'removedTools',
    'toolDenylist', 'toolBlacklist', 'denylist', 'blocklist', 'blacklist'
  ],
  values: ['keep', 'fill', 'filled', 'from', 'chain'],
  disabled: ['isDisabled', 'disable', 'inactive', 'paused', 'off']
}).flatMap(([ours, theirs]) => theirs.map(name => [wordsOf(name).join(' '), ours] as const)))

/** Ways to sign in at a server. Without them it would be used as somebody else, or not at all. */
const signIn = new RegExp(
  '^(o?auth2?|authori[sz]ation|authentication|oidc|bearer|tokens?|apikey|keys?|secrets?|password|credentials?|' +
  'audience|scopes?|login|sso)$'
)
const signInNames = new Set(['headers helper', 'target service account', 'client id', 'client certificate'])

/** Words of members that take something away when they are set, and nothing when they are not. */
const restricting = new RegExp(
  '^(disabl|den(y|ied)|exclu|block|forbid|restrict|sandbox|read|ignor|hid(e|den)|isolat|confirm|requir|approv|' +
  'prohibit|protect|quarantin|private|safe|secur|seccomp|apparmor|jail|chroot|dry|never|no$|not$|without|guard|' +
  'redact|mask|censor)'
)
/** Words of members that give something, or set its extent. */
const granting = new RegExp(
  '^(allow|enabl|inclu|only$|permi|grant|accept|limit|max|min$|quota|rate|filter|polic(y|ies)|roles?$|capabilit|' +
  'whitelist|network|filesystem|roots?$|access|privileg|right|user|group|run$|runas|container|image$|docker|' +
  'write|mode$|profile|expos|tools?$|resources?$|prompts?$|activ|trusted|visib|scop|' +
  'prox|tls|ssl|cert|verif|wrapper|shell)'
)

/** Whether a value says that there is no such restriction. */
function isOff (value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0
  if (isJsonObject(value)) return Object.keys(value).length === 0
  return [false, null, '', 'never', 'none', 'off'].includes(value as string)
}

/** Whether a name sounds like a restriction, and its value does not say that there is none. */
export function restricts (name: string, value: unknown): boolean {
  const words = wordsOf(name)
  if (words.some(word => restricting.test(word))) return !isOff(value)
  return words.some(word => granting.test(word)) && value !== true && value !== null
}

/**
 * What becomes of a member that is neither ours nor known to mean the same as one of ours.
 *
 * It makes its entry not run when passing over it could do harm: when it restricts something, when it may be one of
 * ours with a mistake in its name, or when the server would be another one without it. Any other is told of.
 */
export function judgeMember (member: string, value: unknown, ours: readonly string[]): Judgement {
  if (wordsOf(member).some(word => word.startsWith('timeout'))) return judgeTimeout(value)
  const why = harmless.get(member)
  if (why !== undefined) return { kind: 'ignored', why }
  const joined = wordsOf(member).join(' ')
  const meant = otherNames.get(joined) ?? nearestName(member, ours)
  if (meant !== undefined) return { kind: 'fault', rule: `is not known here: write ${meant} if that is meant` }
  if (signInNames.has(joined) || wordsOf(member).some(word => signIn.test(word))) {
    if (isOff(value) || isSwitchedOff(value)) return { kind: 'ignored', why: 'it is switched off' }
    return {
      kind: 'fault', rule: 'is a way to sign in that this service does not have: give the credential in headers or env'
    }
  }
  if (restricts(member, value)) {
    return {
      kind: 'fault', rule: 'may restrict the server, and this service does not know how: see docs/servers-file.md'
    }
  }
  return { kind: 'ignored', why: 'this service does not know it', matters: true }
}

const isSwitchedOff = (value: unknown) => isJsonObject(value) && value.enabled === false

/** Seconds for Cline, Roo and Codex; milliseconds for Gemini CLI, VS Code's and most others. */
function judgeTimeout (value: unknown): Judgement {
  const isNumber = typeof value === 'number' && value > 0
  const reading = (seconds: number, unit: string) =>
    seconds <= 86_400 ? [`"timeouts": {"call": ${seconds}} if it is ${unit}`] : []
  const readings = isNumber ? [...reading(value, 'seconds'), ...reading(value / 1000, 'milliseconds')] : []
  const advice = ['write timeouts.call, in seconds', readings.join(', or ')].filter(Boolean).join(': ')
  return { kind: 'ignored', why: `it is seconds for one host and milliseconds for another; ${advice}`, matters: true }
}
