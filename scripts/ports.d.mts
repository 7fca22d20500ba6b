/** A port without a listener, by chance one of thousands. Only a program that is given this number takes it. */
export function freePort (): Promise<number>
/** Whether somebody listens at a port. Only connects: a request would count as one with the services behind. */
export function listens (port: number): Promise<boolean>
