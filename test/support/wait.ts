/** Waits for a condition of the world outside that sends no event. */
export async function until (condition: () => boolean | Promise<boolean>, what: string, milliseconds = 15_000): Promise<void> {
  const deadline = Date.now() + milliseconds
  while (!await condition()) {
    if (Date.now() > deadline) throw new Error(`it did not come to pass in ${milliseconds} ms that ${what}`)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}
