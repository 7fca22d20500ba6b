import type { JsonObject } from '../../json.ts'
import { entryFields, knownTypes } from './entry-schema.ts'

/** What each field is for, as an editor shows it. docs/servers-file.md says more. */
const descriptions: Readonly<Record<string, string>> = {
  type: 'How the server is reached. Default: http with a url, else stdio.',
  command: 'The program to start. A path with a / is relative to cwd. Any other name is searched on PATH.',
  args: 'Its arguments. Every user of the machine can read them.',
  env: 'Its variables, in addition to the inherited ones.',
  envFile: 'A file with more variables, NAME=value in each line, relative to this file. env goes before it.',
  cwd: 'Where it runs, relative to this file. Default: the folder where the service starts.',
  uid: 'The user that it runs as.',
  gid: 'The group that it runs as. Needs a uid.',
  lifecycle: 'request: a fresh process for each request. shared: one process for all requests of a worker.',
  warmSpares: 'How many processes are started ahead of demand. Replaces MCP_WARM_SPARES.',
  url: 'Its address, without user, password and fragment.',
  headers: 'Headers of every request.',
  session: 'kept: one MCP session for each session of the service. request: one for each request.',
  stateful: 'The server keeps state between calls. The entry is refused where it could not.',
  timeouts: 'Deadlines in seconds, instead of those of the service.',
  includeTools: 'The only tools that are offered, by the server\'s own names. * stands for any characters.',
  excludeTools: 'Tools that are not offered, even when includeTools has them.',
  baggage: 'true passes the caller\'s header baggage on.',
  values: 'What is kept of calls of this server, and what fills them: see docs/values.md. Default: MCP_VALUES.',
  tools: 'What differs for one tool, by the server\'s own names. Or an array: the only tools that are offered.',
  credentials: 'Credentials that its tools get when they declare them.',
  result: 'The form of replies.',
  validateArguments: 'Replaces MCP_VALIDATE_ARGUMENTS.',
  prefix: 'The prefix of its tools\' names when there are several servers. Default: the name of the entry.',
  disabled: 'true leaves the entry out.'
}

const texts = { type: 'array', items: { type: 'string' } }
const words = (...all: string[]) => ({ enum: all })
const filling = {
  keep: words('parameters', 'results', 'both', 'neither'), fill: words('declared', 'required', 'none'), from: texts
}
const objectOf = (properties: JsonObject) => ({ type: 'object', properties, additionalProperties: false })

/** Fields whose full form resolve-policy.ts checks, or that take what other hosts write. */
const ownForms: Readonly<Record<string, JsonObject>> = {
  values: { anyOf: [words('chain', 'none'), objectOf(filling)] },
  tools: {
    anyOf: [
      { type: 'object', additionalProperties: objectOf({ ...filling, filled: texts, arguments: { type: 'object' } }) },
      { type: 'array', items: { type: 'string', minLength: 1 } }
    ]
  },
  env: { type: 'object', additionalProperties: { type: ['string', 'number', 'boolean'] } }
}

const toolNames = { type: 'array', items: { type: 'string', minLength: 1 } }
const types = { enum: [...new Set([...knownTypes, 'streamable_http', 'local'])] }
/** Fields of other hosts that mean the same as ours. */
const otherFields: Readonly<Record<string, JsonObject>> = {
  transport: { ...types, description: 'Another name of type.' },
  serverUrl: { type: 'string', minLength: 1, description: 'Another name of url.' },
  httpUrl: { type: 'string', minLength: 1, description: 'The url of a server of the type http.' },
  disabledTools: { ...toolNames, description: 'Tools that are not offered, as excludeTools.' },
  enabled: { type: 'boolean', description: 'false leaves the entry out.' },
  timeout: { description: 'Not taken: seconds for one host, milliseconds for another. Write timeouts.' }
}

/** The JSON Schema of a servers file, for editors. What they need not know of, the service says. */
export function editorSchema (): JsonObject {
  const own = Object.entries(entryFields).map(([name, field]) => {
    const { title, ...schema } = field as JsonObject // for sentences of the service
    return [name, { ...(ownForms[name] ?? schema), description: descriptions[name] }]
  })
  const entry = {
    type: 'object',
    properties: { type: { ...types, description: descriptions.type }, ...Object.fromEntries(own), ...otherFields },
    anyOf: [
      ...['command', 'url', 'serverUrl', 'httpUrl'].map(name => ({ required: [name] })),
      { required: ['disabled'], properties: { disabled: { const: true } } },
      { required: ['enabled'], properties: { enabled: { const: false } } }
    ]
  }
  const servers = { type: 'object', minProperties: 1, additionalProperties: { $ref: '#/definitions/entry' } }
  return JSON.parse(JSON.stringify({
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'MCP_SERVERS_FILE of the MCP client service',
    type: 'object',
    allowComments: true,
    allowTrailingCommas: true,
    properties: {
      $schema: { type: 'string' },
      mcpServers: { ...servers, description: 'The MCP servers by name.' },
      servers: { ...servers, description: 'The same, as VS Code has it.' }
    },
    oneOf: [{ required: ['mcpServers'] }, { required: ['servers'] }],
    definitions: { entry }
  }))
}
