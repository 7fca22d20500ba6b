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
