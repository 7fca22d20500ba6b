import type { ChildProcess } from 'node:child_process'

export interface RedisServer { socket: string, pid: number, url: string, stop: () => Promise<void> }
export function findRedisServer (environment?: Record<string, string | undefined>): string | null
export function provideRedisServer (): string | null
export function startRedisServer (options: { binary: string, folder: string, persistent?: boolean, args?: string[] }): Promise<RedisServer>
export const waysToGetRedis: string
export function spawnRedis (binary: string, args: string[]): ChildProcess
