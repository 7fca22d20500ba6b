/* What does the service add to what its MCP server costs anyway? The same echo server, called directly through the SDK and through /call-tool. */
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { alternate, bench, echoServer, machine, median, ms, openSession, post, ratio, startRedis, startService, table, timed } from './bench.mjs'

const rounds = Number(process.argv[2] ?? 60)

await bench(async () => {
  const redis = await startRedis()
  const cold = await startService({ REDIS_URL: redis.url, MCP_SERVER_SCRIPT: echoServer, MCP_WARM_SPARES: '0' })
  const times = await alternate({
    direct: callDirectly,
    cold: await callThrough(cold)
  }, { rounds })

  const p50 = Object.fromEntries(Object.entries(times).map(([name, values]) => [name, median(values)]))
  console.log(machine(), `· ${rounds} rounds, alternating`)
  table(['p50', 'time', 'against', 'ratio'], [
    ['direct SDK: spawn + connect + call', ms(p50.direct), '', ''],
    ['/call-tool, fresh process', ms(p50.cold), 'direct', ratio(p50.cold / p50.direct)]
  ])
})

/** A process, a client, one call; the answer is the end, not the process's. */
async function callDirectly () {
  const transport = new StdioClientTransport({ command: process.execPath, args: [echoServer], stderr: 'ignore' })
  const client = new Client({ name: 'direct', version: '1.0.0' })
  const time = await timed(async () => {
    await client.connect(transport)
    await client.callTool({ name: 'echo', arguments: { text: 'hello' } })
  })
  await client.close()
  return time
}

async function callThrough (service) {
  const session = await openSession(service)
  const body = { session_id: session, tool: 'echo', params: { text: 'hello' } }
  return () => timed(() => post(`${service.url}/call-tool`, body))
}
