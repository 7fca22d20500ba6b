import Type from 'typebox'

/** As a path in the docs; the routes all take the session's id in these two ways. */
export const sessionIdHeader = 'x-session-id'

/**
 * A session's id as a request gives it. A lone surrogate is refused with the control characters: Redis keys are UTF-8, in
 * which all lone surrogates look the same, so two ids would lead to one session.
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
  description: 'Id of the session, chosen by whoever opens it. An integer is taken as its decimal text.',
  examples: ['demo-1']
})

/** Ids in a header are bytes, and checked where they are read. */
export const SessionHeaderSchema = Type.Object({
  [sessionIdHeader]: Type.Optional(Type.String({ description: 'Id of the session.' }))
})

export const SessionTokenSchema = Type.String({ description: 'Secret. Every later request for the session must carry it as `Authorization: Bearer`. Only with MCP_SESSION_TOKENS=required.' })

/** What opens a session, in a body that may hold more. */
export const CredentialFields = {
  apiUrl: Type.String({ title: 'a string', description: 'http(s) URL of the user\'s API.', examples: ['https://api.example.com'] }),
  jwtToken: Type.String({ title: 'a string', description: 'The user\'s token for that API.', examples: ['header.payload.signature'] })
}

export const furtherFields = 'Further fields: those named in MCP_SENSITIVE_PARAMS are credentials, all others are cached parameters that fill later calls.'

export const ErrorSchema = Type.Object({
  status: Type.Literal('error'),
  error: Type.String({ description: 'A sentence for people.' }),
  code: Type.String({ description: 'A stable name for programs; see docs/errors.md.' }),
  retryable: Type.Boolean({ description: 'Whether the same request may succeed when sent again, without acting twice.' })
})

/** Error answers of a route, for its response schema: every status it names has the one body shape. */
export function errorResponses<Status extends number> (descriptions: Record<Status, string>) {
  const responses = Object.entries<string>(descriptions).map(([status, description]) => [status, Type.Object(ErrorSchema.properties, { description })])
  return Object.fromEntries(responses) as Record<Status, typeof ErrorSchema>
}

/** Of several servers, those that did not answer. */
export const ServerErrorsSchema = Type.Record(Type.String(), Type.String(), { description: 'MCP servers that could not be asked: a sentence by server. Absent when all answered.' })

/** Any JSON. Left open on purpose: a tight response schema deletes what it does not name. */
export const AnySchema = Type.Unsafe<unknown>({})

/** Any JSON object, passed on as it is. */
export const AnyObjectSchema = Type.Unsafe<Record<string, unknown>>({ type: 'object', additionalProperties: true })

export const UriSchema = Type.String({ minLength: 1, maxLength: 8_192, title: 'a URI of at most 8192 characters', examples: ['file:///report.md'] })

/** Which of several servers is meant, as the listings name it. */
export const ServerNameSchema = Type.String({ maxLength: 1_024, title: 'the name of a server', description: 'Needed only where several servers have the same.' })

export const PromptNameSchema = Type.String({ minLength: 1, maxLength: 1_024, title: 'a string of at most 1024 characters' })

/** MCP's arguments of prompts and templates are texts. */
export const TextsSchema = Type.Record(Type.String(), Type.String(), { title: 'an object of strings' })

/** Failures of what opens a session. */
export const openErrors = errorResponses({
  400: 'A field is missing or wrong.',
  401: 'The credentials were not accepted.',
  429: 'There are as many sessions as there may be.',
  502: 'The validation API cannot be reached or gave no verdict.',
  503: 'Redis does not answer.',
  504: 'The validation API did not answer in time.'
})

const serverFailures = {
  400: 'A field is missing or wrong, or the server refused what it was given.',
  401: 'A server refused the session\'s credentials, which are no longer good.',
  409: 'There is no such session, or it lacks a credential that a server needs.',
  502: 'The MCP server cannot be reached or broke off.',
  503: 'Redis does not answer, or too many requests wait for a server.',
  504: 'The MCP server did not answer in time.'
}

/** Failures of what lists something of all servers, and of what asks one server for something. */
export const listErrors = errorResponses(serverFailures)
export const askErrors = errorResponses({ ...serverFailures, 404: 'There is no such thing.' })
