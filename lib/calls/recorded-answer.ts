/** An answer of the service, as it is recorded in a call. */
export interface RecordedAnswer {
  statusCode: number
  headers: Readonly<Record<string, string>>
  /** JSON text. */
  body: string | Buffer
}

/** One line of JSON with the status and the headers, then the body as it was sent. */
export const encodeAnswer = ({ statusCode, headers, body }: RecordedAnswer): string =>
  `${JSON.stringify({ statusCode, headers })}\n${body.toString()}`

/** `null` for a text that is no recorded answer. */
export function decodeAnswer (text: string): RecordedAnswer & { body: string } | null {
  const end = text.indexOf('\n')
  try {
    const { statusCode, headers } = JSON.parse(text.slice(0, end)) as RecordedAnswer // this service wrote it
    return { statusCode, headers, body: text.slice(end + 1) }
  } catch {
    return null // somebody else has written there: it is as if nothing were recorded
  }
}
