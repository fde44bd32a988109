/** What one sentence explains to the person who typed `npm start`. */
export class SetupError extends Error {}
