import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { connect } from 'node:net'
import type { Test } from 'tap'
import { freePort, until } from './helper.ts'
import { stopper } from './upstream.ts'

const program = createRequire(import.meta.url).resolve('@modelcontextprotocol/server-everything/dist/index.js')

/** The official server that has a bit of everything, over a transport of its choice, in a process that the test's end ends. */
export async function startEverything (t: Test, transport: 'streamableHttp' | 'sse', attempts = 3): Promise<{ url: string, pid: number, stop: () => Promise<void> }> {
  const port = await freePort()
  const child = spawn(process.execPath, [program, transport], { stdio: ['pipe', 'ignore', 'ignore'], env: { ...process.env, PORT: String(port) } })
  const stop = stopper(child)
  t.teardown(stop)
  // It cannot be asked for any free port, so somebody else may have taken this one.
  await until(async () => child.exitCode !== null || await listens(port), 'server-everything listens')
  if (child.exitCode !== null) {
    if (attempts === 1) throw new Error(`server-everything ended with ${child.exitCode} before it listened`)
    return await startEverything(t, transport, attempts - 1)
  }
  return { url: `http://127.0.0.1:${port}/${transport === 'sse' ? 'sse' : 'mcp'}`, pid: child.pid ?? 0, stop }
}

async function listens (port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
