/* eslint-disable no-template-curly-in-string -- placeholders of the servers file look like those of JavaScript */
import { type FileValue, valueFromFile } from '../../secret-file.ts'
import { entryError } from './entry-error.ts'
import type { HostEnvironment } from './host-environment.ts'

/**
 * A piece of a text with placeholders. `variable` is the name of the variable that the text stands for, and `value` is
 * its value before it is encoded; a default of the file has none.
 */
export type Part = { text: string, variable?: string, value?: string } | { credential: string }

export interface PlaceholderOptions {
  /** Entry of the servers file, and field of the entry: for sentences. */
  server: string
  field: string
  /** Fields of a session that are credentials; no others can be used. */
  sensitiveParams: readonly string[]
}

/**
 * Ours, `${session.NAME}` and `${env.NAME}`, and those of other hosts that mean the same: `${NAME}` of a shell and of
 * Claude Code, `${env:NAME}` of VS Code and Cursor. A variable may have a default: `${NAME:-default}`.
 */
const placeholder = new RegExp([
  '\\$\\$\\{',
  '\\$\\{session\\.(?<credential>[^\\s{}]+)\\}',
  '\\$\\{(?:env[.:](?<named>[^\\s{}:]+)|(?<bare>[A-Za-z_]\\w*))(?<default>:-[^{}]*)?\\}',
  '\\$\\{input:[^{}]*\\}',
  '\\$\\{'
].join('|'), 'g')

// The rules repeat nothing of the text: a password may hold `${`, too.
const unknownRule =
  'holds a ${ that is neither ${session.NAME} nor ${env.NAME}; write $${ for one that is meant as it is'
const inputRule =
  'holds an ${input:…}, which a person would type; write ${env.NAME} for a variable of the service, ' +
  'or ${session.NAME} for a credential of the session'

/** What editors fill in themselves. A service has no workspace. */
const editorVariables: ReadonlyMap<string, string> = new Map([
  ['userHome', 'write ${env.HOME}'],
  ...['workspaceFolder', 'workspaceFolderBasename', 'workspaceRoot', 'pathSeparator', 'cwd', 'file', 'fileDirname']
    .map(name => [name, 'write the path itself: a relative cwd counts from the folder of the file'] as const)
])

/** The pieces of a text, its variables filled in. Throws ConfigError that names entry and field, and never a value. */
export function readParts (text: string, host: HostEnvironment, options: PlaceholderOptions): Part[] {
  const { server, field, sensitiveParams } = options
  const parts: Part[] = []
  let end = 0
  for (const { 0: found, index, groups = {} } of text.matchAll(placeholder)) {
    parts.push({ text: text.slice(end, index) })
    end = index + found.length
    const { credential, named, bare, default: defaultValue } = groups
    const variable = named ?? bare
    if (found === '$${') {
      parts.push({ text: '${' })
    } else if (credential !== undefined) {
      if (!sensitiveParams.includes(credential)) {
        throw entryError(server, field, `needs the credential ${credential}, which is not among MCP_SENSITIVE_PARAMS`)
      }
      parts.push({ credential })
    } else if (variable === undefined) {
      throw entryError(server, field, found === '${' ? unknownRule : inputRule)
    } else {
      const read = variableOf(variable, host)
      if ('value' in read) parts.push({ text: read.value, variable, value: read.value })
      else if (defaultValue !== undefined && read.isUnset) parts.push({ text: defaultValue.slice(2), variable })
      else throw entryError(server, field, variableRule(variable, bare !== undefined, read.fault))
    }
  }
  return [...parts, { text: text.slice(end) }]
}

type VariableValue = Extract<FileValue, { value: string }> | { fault: string, isUnset: boolean }

/** Where both are set the variable counts: names that end in _FILE have other meanings, too (`LOG` and `LOG_FILE`). */
function variableOf (name: string, host: HostEnvironment): VariableValue {
  const value = Object.hasOwn(host, name) ? host[name] : undefined
  if (value) return { value }
  const found = valueFromFile(name, host)
  if (found === null) return { fault: 'which is not set', isUnset: true }
  return 'fault' in found ? { fault: `and ${found.fault}`, isUnset: false } : found
}

/**
 * A bare name that is not written as variables are may be a piece of a password, and is not repeated. Who writes `env`
 * before it means a variable.
 */
function variableRule (name: string, isBare: boolean, fault: string): string {
  const hint = isBare ? editorVariables.get(name) : undefined
  if (hint !== undefined) return `holds \${${name}}, which only an editor can fill in; ${hint}`
  if (isBare && !/^[A-Z][A-Z0-9_]*$/.test(name)) {
    return `holds a \${…} for a variable, ${fault}; write $\${ for one that is meant as it is`
  }
  return `needs the variable ${name}, ${fault}`
}
