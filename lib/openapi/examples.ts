import type { JsonObject } from '../json.ts'

/** A request of an operation that it answers well, and its answers. */
export interface OperationExample {
  body?: JsonObject
  /** Values of the parameters that it needs, by name. */
  parameters?: Readonly<Record<string, string>>
  answers: readonly AnswerExample[]
}

export interface AnswerExample {
  status: number
  /** A word for it, where there are several of one status. */
  name?: string
  value: unknown
}

const session = { session_id: 'demo-1' }
const credentials = { apiUrl: 'https://api.example.com', jwtToken: 'header.payload.signature' }
const newToken = '9QO2nCw3yQZ7oSxqk1UuLw9mE0a4rTtY'
const newId = '4mXh2b9cV7eK0tqLr8sYw1uZf3nGdJpA'
const callId = 'c_FgXd0aVq1sY7mZ2kLw3TbNc4RhPu5JeU'

const ok = { status: 'ok' }
const ended = { status: 'ok', message: 'Session demo-1 shut down.' }
const times = { created_at: '2026-01-01T10:00:00.000Z', expires_at: '2026-01-02T10:00:00.000Z' }

const tool = {
  name: 'validate_settings',
  title: 'Validate settings',
  description: 'Checks that the API accepts the credentials.',
  inputSchema: { type: 'object', properties: {}, required: [] },
  annotations: { readOnlyHint: true }
}
const toolArguments = { search: 'weather' }
const toolResult = {
  status: 'success',
  sources: [{
    id: 'seattle-weather',
    title: 'Seattle weather',
    description: 'Precipitation, temperatures and wind of every day from 2012 to 2015.',
    credit: 'NOAA National Climatic Data Center',
    licence: 'U.S. Government work, public domain'
  }],
  pagination: { page: 1, limit: 10, total: 1 }
}
const tools = { tools: [tool], workflow_guidance: { instructions: { 'mcp-server': 'Answers questions about data.' } } }

const resource = {
  uri: 'demo://resource/static/document/features.md',
  name: 'features.md',
  description: 'Static document file exposed from /docs: features.md',
  mimeType: 'text/markdown'
}
const resources = { resources: [resource] }
const resourceTemplates = {
  resourceTemplates: [{
    name: 'Dynamic Text Resource',
    uriTemplate: 'demo://resource/dynamic/text/{resourceId}',
    description: 'Plaintext dynamic resource fabricated from the {resourceId} variable, which must be an integer.',
    mimeType: 'text/plain'
  }]
}
const prompts = {
  prompts: [{
    name: 'args-prompt',
    title: 'Arguments Prompt',
    description: 'A prompt with two arguments, one required and one optional',
    arguments: [
      { name: 'city', description: 'Name of the city', required: true },
      { name: 'state', required: false }
    ]
  }]
}

const question = {
  status: 'input_required',
  requests: [{
    id: 'colour',
    method: 'elicitation/create',
    params: {
      message: 'Which colour?',
      requestedSchema: { type: 'object', properties: { answer: { type: 'string' } }, required: ['answer'] }
    }
  }],
  continue: `${callId}-1`
}
const questionOfCall = { ...question, call: callId }
const asks: AnswerExample = { status: 202, name: 'input', value: questionOfCall }
const accepted: AnswerExample = { status: 202, name: 'accepted', value: { status: 'queued', call: callId, ...times } }

export interface ExamplesOptions {
  /** A session's requests need its token. */
  needsToken: boolean
}

/** An example of each of the service's own operations, by `operationId`. A test sends the requests. */
export function operationExamples ({ needsToken }: ExamplesOptions): ReadonlyMap<string, OperationExample> {
  const token = needsToken ? { session_token: newToken } : {}
  return new Map(Object.entries<OperationExample>({
    openSession: { body: { ...session, ...credentials }, answers: [{ status: 200, value: { ...ok, ...token } }] },
    createSession: { body: credentials, answers: [{ status: 201, value: { ...ok, session_id: newId, ...token } }] },
    describeSession: {
      answers: [{
        status: 200,
        value: {
          ...ok,
          ...session,
          created_at: '2026-01-01T10:00:00.000Z',
          idle_seconds_left: 86_400,
          lifetime_seconds_left: 2_591_400,
          calls: 1,
          last_call: { tool: 'list_sources', outcome: 'ok', duration_ms: 12, at: '2026-01-01T10:10:00.000Z' },
          cached_bytes: 10,
          values: [{ name: 'locale', bytes: 4, server: 'caller', as: 'put', at: '2026-01-01T10:05:00.000Z' }]
        }
      }]
    },
    deleteSession: { answers: [{ status: 200, value: ended }] },
    endSession: { body: session, answers: [{ status: 200, value: ended }] },
    putSessionValues: { body: { locale: 'de' }, answers: [{ status: 200, value: ok }] },
    removeSessionValue: { parameters: { name: 'locale' }, answers: [{ status: 200, value: { ...ok, removed: 1 } }] },

    listTools: { body: session, answers: [{ status: 200, value: tools }] },
    getTools: { answers: [{ status: 200, value: tools }] },
    listToolsWithoutSession: {
      answers: [{ status: 200, value: { status: 'success', tools: [tool], system_info: null } }]
    },
    callTool: {
      body: { ...session, tool: 'list_sources', params: toolArguments },
      answers: [{ status: 200, value: toolResult }, asks, accepted]
    },
    callNamedTool: {
      parameters: { tool: 'list_sources' },
      body: toolArguments,
      answers: [{ status: 200, value: toolResult }, asks, accepted]
    },
    listCalls: {
      answers: [{ status: 200, value: { ...ok, calls: [{ status: 'completed', call: callId, ...times }] } }]
    },
    readCall: {
      parameters: { id: callId },
      answers: [
        { status: 200, value: { status: 'completed', call: callId, ...times, result: toolResult } },
        { status: 202, value: { status: 'input_required', call: callId, ...times, question: questionOfCall } }
      ]
    },
    followCall: { parameters: { id: callId }, answers: [] },
    readResult: { parameters: { ref: 'r_3nXkQ0pVh7uYc1TzLm9sWb5JdGf2Re8A' }, answers: [] },
    answerCall: {
      parameters: { id: callId },
      body: { ...session, responses: { colour: { action: 'accept', content: { answer: 'blue' } } } },
      answers: [{ status: 200, value: { status: 'success', colour: 'blue' } }, { status: 202, value: questionOfCall }]
    },
    cancelCall: {
      parameters: { id: callId },
      answers: [
        { status: 200, value: { status: 'cancelled', call: callId, ...times } },
        { status: 202, value: { status: 'working', call: callId, ...times, cancel: true } }
      ]
    },

    listResources: { body: session, answers: [{ status: 200, value: resources }] },
    getResources: { answers: [{ status: 200, value: resources }] },
    listResourceTemplates: { body: session, answers: [{ status: 200, value: resourceTemplates }] },
    getResourceTemplates: { answers: [{ status: 200, value: resourceTemplates }] },
    readResource: {
      body: { ...session, uri: resource.uri },
      answers: [
        {
          status: 200,
          value: { contents: [{ uri: resource.uri, mimeType: 'text/markdown', text: '# Everything Server' }] }
        },
        { status: 202, value: question }
      ]
    },
    listPrompts: { body: session, answers: [{ status: 200, value: prompts }] },
    getPrompts: { answers: [{ status: 200, value: prompts }] },
    getPrompt: {
      body: { ...session, name: 'args-prompt', arguments: { city: 'Berlin' } },
      answers: [
        {
          status: 200,
          value: { messages: [{ role: 'user', content: { type: 'text', text: "What's weather in Berlin?" } }] }
        },
        { status: 202, value: question }
      ]
    },
    completeArgument: {
      body: {
        ...session,
        ref: { type: 'ref/prompt', name: 'completable-prompt' },
        argument: { name: 'department', value: 'E' }
      },
      answers: [{ status: 200, value: { completion: { values: ['Engineering'], total: 1, hasMore: false } } }]
    },

    checkHealth: {
      answers: [{
        status: 200,
        value: {
          ...ok,
          sessions: 1,
          redis_latency_ms: 0.42,
          processes: { alive: 1, starting: 0, waiting: 0, spares_ready: 0 },
          upstreams: { running: 0, waiting: 0 },
          servers: { faulty: [] },
          version: '0.1.0',
          uptime_s: 3_600
        }
      }]
    },
    checkLife: { answers: [{ status: 200, value: ok }] },
    checkReadiness: { answers: [{ status: 200, value: ok }] }
  }))
}
