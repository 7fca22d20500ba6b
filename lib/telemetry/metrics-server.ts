import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ConfigError } from '../errors.ts'

export interface MetricsServerOptions {
  host: string
  /** 0 takes a free one. */
  port: number
  contentType: string
  read: () => Promise<string>
  /** Whether a `Host` header names this server; see plugins/origins.ts. */
  isForUs: (host: string | undefined) => boolean
  onTrouble: (error: unknown) => void
  /** How long a request may take to arrive, and its answer to leave (ms). */
  answerMs?: number
}

export interface MetricsServer {
  /** `http://127.0.0.1:9464/metrics` */
  url: string
  /** Ends it at once, with its connections. May be called twice. */
  close: () => Promise<void>
}

/** Several monitoring systems at once are few. */
const maxConnections = 32
const maxHeaderBytes = 8_192

/**
 * A server with one path. It is apart from the service's own: a load balancer does not reach it, and it answers while
 * the service ends. Rejects with ConfigError when it cannot listen.
 */
export async function openMetricsServer (options: MetricsServerOptions): Promise<MetricsServer> {
  const { host, port, contentType, read, isForUs, onTrouble, answerMs = 10_000 } = options
  let reading: Promise<string> | null = null

  /** Those who ask at once get the same text. */
  function readOnce (): Promise<string> {
    reading ??= read().finally(() => { reading = null })
    return reading
  }

  async function answer (request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!isForUs(request.headers.host)) return end(response, 403, 'Forbidden\n')
    const isMetrics = request.method === 'GET' && request.url?.split('?', 1)[0] === '/metrics'
    if (!isMetrics) return end(response, 404, 'Not found. There is GET /metrics.\n')
    const text = await readOnce()
    end(response, 200, text, contentType)
  }

  const server = createServer({
    maxHeaderSize: maxHeaderBytes,
    headersTimeout: answerMs,
    requestTimeout: answerMs,
    connectionsCheckingInterval: 1_000
  }, (request, response) => {
    // A caller who reads slowly, or sends without an end, holds a connection for so long and no longer.
    const timer = setTimeout(() => request.socket.destroy(), answerMs).unref()
    response.once('close', () => clearTimeout(timer))
    // A body is not wanted: the connection ends with the answer, and what still comes is not read.
    if (request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined) {
      response.setHeader('connection', 'close')
    }
    answer(request, response).catch((error: unknown) => {
      onTrouble(error)
      end(response, 500, 'The metrics could not be read\n')
    })
  })
  server.maxConnections = maxConnections
  server.unref()
  await listen(server, { host, port })
  server.on('error', onTrouble)

  const { address, port: actual, family } = server.address() as AddressInfo
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${actual}/metrics`,
    close: () => new Promise(resolve => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  }
}

function end (response: ServerResponse, status: number, text: string, type = 'text/plain; charset=utf-8'): void {
  if (response.headersSent) return
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff'
  })
  response.end(text)
}

function listen (server: Server, { host, port }: { host: string, port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(explain(error, host, port)))
    server.listen({ host, port }, () => {
      server.removeAllListeners('error')
      resolve()
    })
  })
}

function explain (error: NodeJS.ErrnoException, host: string, port: number): Error {
  switch (error.code) {
    case 'EADDRINUSE':
      return new ConfigError(`MCP_METRICS_PORT must be a free port, but ${host}:${port} is taken by another process`)
    case 'EACCES':
      return new ConfigError(`MCP_METRICS_PORT must be a port that this user may listen on, but ${port} is not`)
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EINVAL':
      return new ConfigError(`MCP_METRICS_HOST must be an address of this machine, but is ${host}`)
    default:
      return error
  }
}
