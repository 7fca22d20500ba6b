import Type, { type TObject, type TSchema } from 'typebox'

/** In lower case, as Node gives the names of headers. */
export const sessionIdHeader = 'x-session-id'

/**
 * Characters of a session's id. A lone surrogate is refused as control characters are: Redis keys are UTF-8, in which
 * all lone surrogates look the same, so two ids would lead to one session.
 */
export const sessionIdPattern = '^[^\\p{Cc}\\p{Cs}]*$'

export const SessionIdSchema = Type.Unsafe<string | number>({
  type: ['string', 'integer'],
  minLength: 1,
  maxLength: 256,
  pattern: sessionIdPattern,
  minimum: Number.MIN_SAFE_INTEGER,
  maximum: Number.MAX_SAFE_INTEGER,
  title: 'a string of 1 to 256 characters without control characters, or an integer',
  description: 'Id of the session, chosen by the caller who opens it. An integer is taken as its decimal text.',
  examples: ['demo-1']
})

/** Only for the description: the header's bytes are checked where they are read. */
export const SessionHeaderSchema = Type.Object({
  [sessionIdHeader]: Type.Optional(Type.String({ description: 'Id of the session.' }))
})

export const SessionTokenSchema = Type.String({
  description: 'Secret. Every later request for the session must carry it as `Authorization: Bearer`. ' +
    'Present only with MCP_SESSION_TOKENS=required.'
})

/** The fields that open a session. Their body may have further fields. */
export const CredentialFields = {
  apiUrl: Type.String({
    title: 'a string', description: 'http(s) URL of the user\'s API.', examples: ['https://api.example.com']
  }),
  jwtToken: Type.String({
    title: 'a string', description: 'The user\'s token for that API.', examples: ['header.payload.signature']
  })
}

export const furtherFields = 'Further fields that are named in MCP_SENSITIVE_PARAMS are credentials. ' +
  'All others are cached parameters, which fill later calls.'

export const ErrorSchema = Type.Object({
  status: Type.Literal('error'),
  error: Type.String({ description: 'A sentence for people.' }),
  code: Type.String({ description: 'A stable name for programs; see docs/errors.md.' }),
  retryable: Type.Boolean({
    description: 'Whether the same request may succeed when it is sent again, and cannot act twice.'
  }),
  authorization: Type.Optional(Type.Unsafe<Record<string, unknown>>({
    type: 'object',
    additionalProperties: true,
    description: 'What an MCP server that refused the credentials says about its authorization. Absent otherwise.'
  }))
})

export const CallErrorSchema = Type.Object({
  ...ErrorSchema.properties,
  acted: Type.Union([Type.Literal('no'), Type.Literal('unknown')], {
    description: 'Whether the tool can have acted: `no` only where it is certain that it has not.'
  }),
  arguments: Type.Optional(Type.Array(Type.Object({ pointer: Type.String(), message: Type.String() }), {
    description: 'With 422: where the arguments do not fit, by JSON Pointer, and what each value must be.'
  }))
})

const { error: sentence, code, retryable, authorization, acted, arguments: faults } = CallErrorSchema.properties

const problemFields = {
  type: Type.String({ description: 'URL that explains the code, or a path that identifies it.' }),
  title: Type.String({ description: 'The code in words.' }),
  status: Type.Integer({ description: 'The HTTP status.' }),
  detail: sentence,
  instance: Type.String({ description: 'The request\'s id, as in `X-Request-Id`.' }),
  code,
  retryable,
  authorization
}

/** Failures as problem details of RFC 9457, for callers that ask for that form. */
export const ProblemSchema = Type.Object(problemFields)
export const CallProblemSchema = Type.Object({ ...problemFields, acted, arguments: faults })

/** Error answers for the response schema of a route: each status has the one body shape. */
export function errorResponses<Status extends number> (
  descriptions: Record<Status, string>, schema: TObject = ErrorSchema
) {
  const responses = Object.entries<string>(descriptions)
    .map(([status, description]) => [status, Type.Object(schema.properties, { description })])
  return Object.fromEntries(responses) as Record<Status, typeof ErrorSchema>
}

/** The same for a route that calls a tool. */
export const callErrorResponses = <Status extends number>(descriptions: Record<Status, string>) =>
  errorResponses(descriptions, CallErrorSchema)

export const ServerErrorsSchema = Type.Record(Type.String(), Type.String(), {
  description: 'The MCP servers that did not answer, each with a sentence that says why. Absent when all answered.'
})

export const ServerWarningsSchema = Type.Record(Type.String(), Type.Array(Type.String()), {
  description: 'The MCP servers that listed something nobody can use, each with a sentence for each such item. ' +
    'The other items are listed. Absent when there are none.'
})

export const PendingServersSchema = Type.Array(Type.String(), {
  description: 'The MCP servers that have not said yet what they offer, because the service has just started: ask ' +
    'again later. Absent when there are none.'
})

/** The schema of a reply that is put together as JSON text: it serves the API's description alone. */
export const asText = (schema: TSchema) => Type.Unsafe<string | Buffer>(schema)

/** Content type of such a reply. */
export const jsonType = 'application/json; charset=utf-8'

/** Longest text that is written as it is (characters). */
const maxTextLength = 65_536

/** Such a reply, as it is sent. Encoding a long text at once takes a fifth of the time that the socket takes for it. */
export const jsonBody = (text: string | Buffer) =>
  typeof text === 'string' && text.length > maxTextLength ? Buffer.from(text) : text

/** Any JSON. Left open on purpose: a tight response schema deletes fields that it does not name. */
export const AnySchema = Type.Unsafe<unknown>({})

/** Any JSON object, passed on as it is. */
export const AnyObjectSchema = Type.Unsafe<Record<string, unknown>>({ type: 'object', additionalProperties: true })

export const UriSchema = Type.String({
  minLength: 1, maxLength: 8_192, title: 'a URI of at most 8192 characters', examples: ['file:///report.md']
})

/** The name of one server among several, as the listings write it. */
export const ServerNameSchema = Type.String({
  maxLength: 1_024,
  title: 'the name of a server',
  description: 'Name of the MCP server. Needed only when several servers have the resource.'
})

const ServerNameText = Type.String({ minLength: 1, maxLength: 1_024, title: 'the name of a server' })
const chosenServers = 'Names of MCP servers. Only these are listed; the others are neither started nor asked. ' +
  'Left out, all of them are listed.'

export const ServerNamesSchema = Type.Array(ServerNameText, {
  minItems: 1, title: 'an array of names of servers, one at least', description: chosenServers
})

/** The same in a query, where one name is no array. */
export const ServerQuerySchema = Type.Union([ServerNameText, Type.Array(ServerNameText)], {
  title: 'the name of a server', description: chosenServers
})

/** Answer of a route with an `ETag` to a caller who has it. */
export const NotModifiedSchema = Type.Null({ description: 'The caller has this list: `If-None-Match` names its tag.' })

export const PromptNameSchema = Type.String({
  minLength: 1, maxLength: 1_024, title: 'a string of at most 1024 characters'
})

/** Arguments of prompts and templates, which are strings in MCP. */
export const TextsSchema = Type.Record(Type.String(), Type.String(), { title: 'an object of strings' })

export const ContinueSchema = Type.String({
  maxLength: 256,
  title: 'a string of at most 256 characters',
  description: 'Token of an answer 202: resumes that request.'
})

export const NotifySchema = Type.String({
  minLength: 1,
  maxLength: 64,
  title: 'a name of 1 to 64 characters',
  description: 'Name of the receiver, in the operator\'s file, that is told when the call is over or requests input. ' +
    'Only with `Prefer: respond-async`.'
})

export const ResponsesSchema = Type.Unsafe<Record<string, object>>({
  type: 'object',
  additionalProperties: { type: 'object' },
  title: 'an object of objects',
  description: 'Responses to the input requests of that request, by their `id`.'
})

export const aboutReferences = 'With `true` the result is kept, and the answer is a reference to it: ' +
  '`{"status":"success","ref":"r_…","bytes","type","preview","keys","expires_at"}`. With `false` it is sent however ' +
  'long it is.'

export const ReferenceSchema = Type.Boolean({ title: 'true or false', description: aboutReferences })

/** An answer that says which input the server requests. `what` is its subject: `The tool`. */
export const inputRequired = (what: string) => ({
  ...AnySchema,
  description: `${what} requests input first: ` +
    '`{"status":"input_required","requests":[…],"continue":"<token>"}`. Only with MCP_ELICITATION=on.'
})

/** Answer of the routes that end a session. */
export const EndedSchema = Type.Object(
  { status: Type.Literal('ok'), message: Type.String() },
  { description: 'The session does not exist any more.' }
)

/** Failures of the routes that open a session. */
export const openErrors = errorResponses({
  400: 'A field is missing or wrong.',
  401: 'The credentials were not accepted.',
  429: 'The API key has too many sessions open.',
  502: 'The validation API cannot be reached or gave no verdict.',
  503: 'Redis does not answer.',
  504: 'The validation API did not answer in time.'
})

/** The failure of a tool that ran. */
export const ToolFailureSchema = Type.Object({
  status: Type.Literal('error'),
  error: Type.String({ description: 'What the tool says.' })
}, { description: 'The tool ran and failed.' })

/** What a tool gives, as its caller gets it. */
export const ToolReplySchema = {
  ...AnySchema,
  description: 'The tool\'s result without its intermediate data, or `{"status":"error","error":…}` when the ' +
    'tool failed.'
}

/** Failures of the routes that call a tool. */
export const toolCallErrors = callErrorResponses({
  400: 'A field is missing or wrong, or the tool refused its arguments.',
  401: 'The tool\'s server refused the session\'s credentials, which are no longer good.',
  404: 'There is no such tool, or no call to resume under that token.',
  409: 'There is no such session, or it lacks a credential or a value that the tool needs.',
  422: 'The arguments do not fit the tool\'s input schema, and the operator wants them to.',
  429: 'The session has as many calls running as it may.',
  502: 'The MCP server cannot be reached or broke off.',
  503: 'Redis does not answer, or too many requests wait for a server.',
  504: 'The tool did not answer in time.'
})

const serverFailures = {
  400: 'A field is missing or wrong, or the server refused the request.',
  401: 'A server refused the session\'s credentials, which are no longer valid.',
  409: 'There is no such session, or it lacks a credential that a server needs.',
  429: 'The session has as many requests to servers running as it may.',
  502: 'The MCP server cannot be reached or broke off.',
  503: 'Redis does not answer, or too many requests wait for a server.',
  504: 'The MCP server did not answer in time.'
}

/** Failures of the routes that list something of all servers. */
export const listErrors = errorResponses(serverFailures)

/** Failures of the routes that ask one server for one thing. */
export const askErrors = errorResponses({
  ...serverFailures,
  404: 'There is no such prompt or resource, or no request to resume under that token.'
})
