import { Client, type ClientOptions } from '@modelcontextprotocol/client'
import { packageName, version } from '../../version.ts'

export interface McpClientOptions {
  /**
   * How long a server may take to say which era of the protocol it speaks (ms), before it is taken for one that
   * cannot.
   */
  probeTimeoutMs: number
  /** The client tells servers that their questions will be put to a person. */
  declaresElicitation: boolean
  /** The server says that a list of it is not what it was. */
  onListChanged?: () => void
}

/** Results are passed on as the server gave them: the caller judges whether they fit the server's own schema. */
const passThroughValidator = {
  getValidator: () => (input: unknown) => ({ valid: true, data: input, errorMessage: undefined })
  // Generic over the type that a schema describes, which only the schema knows.
} as NonNullable<ClientOptions['jsonSchemaValidator']>

/**
 * A client of the SDK as this service needs it: it finds out a server's era when it is not told, and answers no
 * question of a server by itself. What a server asks without being told that it may, is refused as the protocol says.
 */
export function createClient ({ probeTimeoutMs, declaresElicitation, onListChanged }: McpClientOptions): Client {
  const client = new Client(
    { name: packageName, version },
    {
      jsonSchemaValidator: passThroughValidator,
      versionNegotiation: { mode: 'auto', probe: { timeoutMs: probeTimeoutMs } },
      inputRequired: { autoFulfill: false },
      ...(declaresElicitation && { capabilities: { elicitation: { form: {}, url: {} } } })
    }
  )
  // In the eras before 2026 a server waits for the answer while the call runs, and nobody is there to be asked.
  if (declaresElicitation) client.setRequestHandler('elicitation/create', () => ({ action: 'decline' }))
  if (onListChanged !== undefined) {
    for (const what of ['tools', 'resources', 'prompts'] as const) {
      client.setNotificationHandler(`notifications/${what}/list_changed`, onListChanged)
    }
  }
  return client
}
